"""IDX files: what is right is read as it is, and what is wrong is named."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from vaka.data.dataset import DatasetError
from vaka.data.idx import read, read_array


def encode(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def pair(
    folder: Path, prefix: str = "train", *, count: int = 6, side: int = 9, labels: object = None
) -> None:
    images = np.arange(count * side * side, dtype=np.uint8).reshape(count, side, side)
    classes = np.arange(count, dtype=np.uint8) % 3 if labels is None else np.array(labels, np.uint8)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(encode(images))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(encode(classes))


@given(
    values=arrays(np.uint8, array_shapes(min_dims=3, max_dims=4, min_side=0, max_side=5)),
    packed=st.booleans(),
)
def test_what_was_written_is_read(
    values: NDArray[np.uint8], packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    file.write_bytes(gzip.compress(encode(values)) if packed else encode(values))
    np.testing.assert_array_equal(read_array(file, (3, 4)), values)


@given(part=st.floats(0, 1, exclude_max=True), packed=st.booleans())
def test_a_file_cut_anywhere_is_refused(
    part: float, packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = encode(np.arange(24, dtype=np.uint8).reshape(3, 2, 4))
    content = gzip.compress(whole) if packed else whole
    file = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    file.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DatasetError, match=str(file)):
        read_array(file, (3,))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\x89PNG....", "is no IDX file: it starts with 89 50 4e 47"),
        (struct.pack(">HBB3I", 0, 13, 3, 1, 9, 9), "type 0x0d: only bytes"),
        (struct.pack(">HBBI", 0, 8, 1, 5) + b"12345", "has 1 dimensions: expected are 3 or 4"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "and has only 0"),
        (struct.pack(">HBB3I", 0, 8, 3, 1, 1, 1) + b"12", "says it has 1 values and has more"),
    ],
)
def test_a_broken_file_says_why(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "images"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=why):
        read_array(file, (3, 4))


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    pair(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte"
    packed = bytearray(gzip.compress(images.read_bytes()))
    packed[-20] ^= 0xFF
    images.with_name(images.name + ".gz").write_bytes(packed)
    images.unlink()
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        read(tmp_path)


def test_grey_and_colour_become_channels_first(tmp_path: Path) -> None:
    colour = np.arange(2 * 9 * 8 * 3, dtype=np.uint8).reshape(2, 9, 8, 3)
    (tmp_path / "train-images-idx4-ubyte").write_bytes(encode(colour))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(encode(np.array([0, 1], np.uint8)))
    images = read(tmp_path).splits["train"]
    assert str(images.shape) == "9x8x3"
    np.testing.assert_array_equal(images.pixels[1, 2], colour[1, :, :, 2])


def test_splits_are_told_apart_by_name(tmp_path: Path) -> None:
    pair(tmp_path, "train")
    pair(tmp_path, "t10k", count=4)
    assert {name: len(images) for name, images in read(tmp_path).splits.items()} == {"train": 6, "test": 4}


def test_a_plain_pair_of_any_name_is_the_training_split(tmp_path: Path) -> None:
    pair(tmp_path, "digits")
    assert list(read(tmp_path).splits) == ["train"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_class_names_come_from_labels_txt(tmp_path: Path, encoding: str) -> None:
    pair(tmp_path)
    (tmp_path / "labels.txt").write_text("zebra\ntiger\nelephant\n", encoding)
    assert read(tmp_path).classes == ("zebra", "tiger", "elephant")


def test_a_label_beyond_the_named_classes_is_refused(tmp_path: Path) -> None:
    pair(tmp_path, labels=[0, 1, 0, 7, 1, 0])
    (tmp_path / "labels.txt").write_text("zebra\ntiger\n")
    with pytest.raises(DatasetError, match=r"train-labels-idx1-ubyte: label 3 is 7: labels\.txt names 2"):
        read(tmp_path)


def test_labels_must_be_as_many_as_images(tmp_path: Path) -> None:
    pair(tmp_path, labels=[0, 1])
    with pytest.raises(DatasetError, match="has 2 labels for 6 images in train-images-idx3-ubyte"):
        read(tmp_path)


def test_missing_labels_are_named(tmp_path: Path) -> None:
    pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetError, match=r"train-labels-idx1-ubyte or .* is missing"):
        read(tmp_path)


def test_splits_of_different_sizes_are_refused(tmp_path: Path) -> None:
    pair(tmp_path, "train")
    pair(tmp_path, "t10k", side=10)
    with pytest.raises(DatasetError, match="different sizes: test 10x10x1, train 9x9x1"):
        read(tmp_path)

"""Loading: formats are recognised, archives unpacked safely, splits made fairly."""

import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vaka.data.dataset import DatasetError, Images, ImageShape, Parts, divide, relabel, stratified
from vaka.data.load import load, read


def images(labels: list[int], side: int = 8) -> Images:
    count = len(labels)
    return Images(
        np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(side, 2).repeat(side, 3),
        np.array(labels),
    )


def png(value: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), value).save(out, "png")
    return out.getvalue()


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=300),
    fraction=st.floats(0.01, 0.5),
    seed=st.integers(0, 2**32),
)
def test_the_held_out_part_is_fair_and_repeatable(labels: list[int], fraction: float, seed: int) -> None:
    values = np.array(labels)
    chosen = stratified(values, fraction, seed)
    several = {label: count for label, count in Counter(labels).items() if count > 1}
    dividable = sum(several.values())
    assert chosen.sum() == (max(1, round(dividable * fraction)) if several else 0)
    assert (chosen == stratified(values, fraction, seed)).all()
    for label, count in several.items():
        assert abs(chosen[values == label].sum() - count * chosen.sum() / dividable) <= 1 + 1e-9
    assert set(values[~chosen]) == set(labels)


def test_another_seed_holds_out_others() -> None:
    values = np.zeros(100, int)
    assert (stratified(values, 0.1, 1) != stratified(values, 0.1, 2)).any()


def test_validation_shares_no_image_with_training() -> None:
    parts = Parts({"train": images([0, 1] * 50)}, ("a", "b"))
    data = divide(parts, Path("d"), validation_fraction=0.2, seed=0)
    seen, held_out = (set(x.pixels[:, 0, 0, 0].tolist()) for x in (data.train, data.validation))
    assert len(held_out) == 20
    assert len(seen) == 80
    assert not seen & held_out
    assert data.notes == ("no test split: 20 of 100 images are held out for validation",)


def test_the_only_image_of_a_class_is_trained_on() -> None:
    parts = Parts({"train": images([0] * 5 + [1] + [2] * 5)}, ("a", "b", "c"))
    for seed in range(9):
        data = divide(parts, Path("d"), validation_fraction=0.2, seed=seed)
        assert np.bincount(data.train.labels).tolist() == [4, 1, 4]
    assert data.notes[1:] == ("1 of 3 classes have no image to measure with: b",)


def test_a_split_of_the_data_set_is_kept() -> None:
    parts = Parts({"train": images([0, 1]), "test": images([1])}, ("a", "b"))
    data = divide(parts, Path("d"), validation_fraction=0.5, seed=0)
    assert (len(data.train), len(data.validation)) == (2, 1)


@pytest.mark.parametrize(
    ("train", "why"),
    [
        (images([1, 1]), r"has one class only \(b\)"),
        (images([0, 1]), "has one image of each class: one more is needed to measure with"),
        (images([0, 1], side=7), "has images of 7x7x1: they must be at least 8x8"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(train: Images, why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        divide(Parts({"train": train}, ("a", "b")), Path("d"), validation_fraction=0.5, seed=0)


def test_classes_are_matched_by_name() -> None:
    parts = Parts({"test": images([0, 1, 1])}, ("zebra", "tiger"))
    matched = relabel(parts, ("lion", "tiger", "zebra"), Path("d"))
    assert matched.splits["test"].labels.tolist() == [2, 1, 1]


def test_a_class_unknown_to_the_model_is_named() -> None:
    parts = Parts({"test": images([0, 1])}, ("zebra", "okapi"))
    with pytest.raises(DatasetError, match="has class okapi: the model knows tiger, zebra"):
        relabel(parts, ("tiger", "zebra"), Path("d"))


def test_a_number_beyond_the_model_is_named() -> None:
    parts = Parts({"test": images([0, 3])}, ("0", "1", "2", "3"), named=False)
    with pytest.raises(DatasetError, match="has label 3: the model knows 0 to 1"):
        relabel(parts, ("0", "1"), Path("d"))


def test_a_split_that_is_not_there_is_named() -> None:
    parts = Parts({"train": images([0, 1])}, ("a", "b"))
    assert len(parts.choose("auto", Path("d"))) == 2
    with pytest.raises(DatasetError, match="has no test split: it has train"):
        parts.choose("test", Path("d"))


def write_zip(file: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def write_tar(file: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(("name", "write"), [("d.zip", write_zip), ("d.tar.gz", write_tar)])
def test_archives_are_unpacked(tmp_path: Path, name: str, write: object) -> None:
    write(tmp_path / name, {f"data/{label}/{i}.png": png(i) for label in "ab" for i in range(4)})  # type: ignore[operator]
    data = load(tmp_path / name, validation_fraction=0.25, scratch=tmp_path / "scratch")
    assert (len(data.train), len(data.validation), data.classes) == (6, 2, ("a", "b"))


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_what_macos_adds_to_an_archive_is_left_out(tmp_path: Path, write: object) -> None:
    own = {f"data/{label}/{i}.png": png(i) for label in "ab" for i in range(2)}
    added = {
        "__MACOSX/data/a/._0.png": b"?",
        "data/a/._0.png": b"?",
        ".DS_Store": b"?",
        "data/.DS_Store": b"?",
    }
    file = tmp_path / ("d.zip" if write is write_zip else "d.tar.gz")
    write(file, own | added)  # type: ignore[operator]
    parts = read(file, scratch=tmp_path / "scratch")
    assert (len(parts.splits["train"]), parts.classes, parts.notes) == (4, ("a", "b"), ())


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("path", ["../evil.png", "/evil.png", "a/../../evil.png"])
def test_nothing_lands_outside(tmp_path: Path, write: object, path: str) -> None:
    file = tmp_path / ("d.zip" if write is write_zip else "d.tar.gz")
    write(file, {path: png(1)})  # type: ignore[operator]
    with pytest.raises(DatasetError, match="leads outside"):
        read(file, scratch=tmp_path / "scratch")
    assert not list(tmp_path.rglob("evil.png"))


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        link = tarfile.TarInfo("a/1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DatasetError, match="has no class folders"):
        read(tmp_path / "d.tar", scratch=tmp_path / "scratch")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("d.zip", b"PK nothing", "cannot be unpacked"),
        ("d.tar.gz", b"nothing", "cannot be unpacked"),
        ("d.csv", b"1,2", "is one file and no archive: known are .zip"),
    ],
)
def test_a_file_that_is_no_archive_says_so(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=why):
        load(tmp_path / name, scratch=tmp_path / "scratch")


def test_a_model_of_another_size_is_told(tmp_path: Path) -> None:
    np_images = np.zeros((2, 9, 9), np.uint8)
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in np_images.shape)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + np_images.tobytes())
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1]))
    with pytest.raises(DatasetError, match="has images of 9x9x1: the model takes 28x28x1"):
        read(tmp_path, shape=ImageShape(1, 28, 28), scratch=tmp_path)

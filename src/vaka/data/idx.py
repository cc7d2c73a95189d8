"""IDX files, the format of MNIST (LeCun, "The MNIST database"): images uint8 [n, h, w] or [n, h, w, c].

Layout: two zero bytes, a type byte (8 is uint8), the number of dimensions, each dimension as a big-endian
uint32, then the values, the last dimension fastest.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from vaka.data.dataset import DatasetError, Images, Parts, Split

UINT8 = 8
CHUNK = 1 << 20
LABELS = "labels.txt"
_IMAGES = re.compile(r"images.*(idx|ubyte)|(idx|ubyte).*images", re.IGNORECASE)
_SPLITS: dict[str, Split] = {"train": "train", "t10k": "test", "test": "test", "val": "validation"}


def is_idx(folder: Path) -> bool:
    return bool(_image_files(folder))


def read(folder: Path) -> Parts:
    """Every pair of image and label files in the folder."""
    files = _image_files(folder)
    if not files:
        raise DatasetError(folder, "has no IDX images, such as train-images-idx3-ubyte or ...-ubyte.gz")
    names = read_labels(folder / LABELS)
    splits: dict[Split, Images] = {}
    for file in files:
        split = _split_of(file, alone=len(files) == 1)
        if split in splits:
            raise DatasetError(file, f"is a second set of {split} images: keep one")
        splits[split] = _read_pair(file, _label_file(file), len(names) or 256)
    _check_same_shape(splits, folder)
    numbers = range(max(int(images.labels.max()) for images in splits.values()) + 1)
    return Parts(splits, names or tuple(map(str, numbers)), named=bool(names))


def read_labels(file: Path) -> tuple[str, ...]:
    """Class names of labels.txt, one a line; empty where there is no such file."""
    try:
        names = tuple(file.read_text("utf-8-sig").split("\n")) if file.exists() else ()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(file, f"cannot be read: {error}") from error
    names = tuple(name.strip() for name in names if name.strip())
    if len(set(names)) < len(names):
        raise DatasetError(file, "names a class twice")
    return names


def read_array(file: Path, dimensions: tuple[int, ...]) -> NDArray[np.uint8]:
    """The values of one IDX file, gzipped or not, with one of these numbers of dimensions."""
    try:
        packed = file.suffix == ".gz"
        with cast(BinaryIO, gzip.open(file)) if packed else file.open("rb") as stream:
            shape = _read_shape(stream, file, dimensions)
            values = _read_values(stream, math.prod(shape))
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(file, f"cannot be read: {error}") from error
    if len(values) != math.prod(shape):
        more = "more" if len(values) > math.prod(shape) else f"only {len(values):,}"
        raise DatasetError(file, f"says it has {math.prod(shape):,} values and has {more}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _image_files(folder: Path) -> list[Path]:
    """Image files of the folder; of a file and its gzipped copy the file."""
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and _IMAGES.search(p.name)]
    return [p for p in files if not (p.suffix == ".gz" and p.with_suffix("") in files)]


def _split_of(file: Path, *, alone: bool) -> Split:
    for word, split in _SPLITS.items():
        if word in file.name.lower():
            return split
    if alone:
        return "train"
    raise DatasetError(file, "may be training or test images: start its name with train- or t10k-")


def _label_file(images: Path) -> Path:
    name = re.sub("images", "labels", images.name, flags=re.IGNORECASE)
    plain = re.sub("idx[34]", "idx1", name, flags=re.IGNORECASE).removesuffix(".gz")
    for found in (images.with_name(plain), images.with_name(plain + ".gz")):
        if found.exists():
            return found
    raise DatasetError(images, f"has no labels: {plain} or {plain}.gz is missing beside it")


def _read_pair(images: Path, labels: Path, classes: int) -> Images:
    pixels = read_array(images, (3, 4))
    classed = read_array(labels, (1,))
    if not len(pixels):
        raise DatasetError(images, "has no image")
    if len(pixels) != len(classed):
        raise DatasetError(labels, f"has {len(classed):,} labels for {len(pixels):,} images in {images.name}")
    if classed.max() >= classes:
        where = int(np.argmax(classed >= classes))
        raise DatasetError(
            labels, f"label {where} is {classed[where]}: {LABELS} names {classes} classes, from 0"
        )
    return Images(_channels_first(pixels, images), classed.astype(np.int64))


def _channels_first(pixels: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    if pixels.ndim == 3:
        return pixels[:, None]
    if pixels.shape[3] not in (1, 3):
        raise DatasetError(
            file, f"has {pixels.shape[3]} channels: 1 (grey) or 3 (red, green, blue) are known"
        )
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _read_shape(stream: BinaryIO, file: Path, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    head = stream.read(4)
    if not head:
        raise DatasetError(file, "is empty")
    if len(head) < 4 or head[:2] != b"\0\0":
        raise DatasetError(file, f"is no IDX file: it starts with {head.hex(' ')}, not with 00 00")
    if head[2] != UINT8:
        raise DatasetError(file, f"has values of type {head[2]:#04x}: only bytes (0x08) are read")
    if head[3] not in dimensions:
        allowed = " or ".join(map(str, dimensions))
        raise DatasetError(file, f"has {head[3]} dimensions: expected are {allowed}")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DatasetError(file, "ends within its header")
    return struct.unpack(f">{head[3]}I", sizes)


def _read_values(stream: BinaryIO, count: int) -> bytearray:
    """Up to one byte more than `count`; in pieces, for a broken header may ask for any amount."""
    return bytearray().join(_pieces(stream, count + 1))


def _pieces(stream: BinaryIO, most: int) -> Iterator[bytes]:
    while most and (piece := stream.read(min(CHUNK, most))):
        most -= len(piece)
        yield piece


def _check_same_shape(splits: dict[Split, Images], folder: Path) -> None:
    shapes = {f"{split} {images.shape}" for split, images in splits.items()}
    if len({images.shape for images in splits.values()}) > 1:
        raise DatasetError(folder, f"has images of different sizes: {', '.join(sorted(shapes))}")

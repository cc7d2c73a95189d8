"""Image folders: one folder of images for each class, below train/ and val/ or test/ if split so."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import TypeVar

import numpy as np

from vaka.data.dataset import DatasetError, Images, ImageShape, Parts, Split
from vaka.data.folders import SPLITS, is_visible
from vaka.data.idx import LABELS, read_labels
from vaka.data.pictures import SUFFIXES, PictureError, decode, header

LARGEST_SIDE = 224
"""Larger images are shrunk to this, the size that image classifiers are commonly trained at."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Listing:
    """The image files of one split, with the class of each, and how many other files lie among them."""

    files: list[Path]
    labels: list[int]
    others: int


def read(folder: Path, shape: ImageShape | None = None) -> Parts:
    """All splits; images are brought to `shape`, or else to the size that most of them have."""
    roots = _split_folders(folder)
    classes = _classes(folder, roots.get("train", next(iter(roots.values()))))
    listings = {split: _list(root, classes) for split, root in roots.items()}
    files = [file for listing in listings.values() for file in listing.files]
    shapes = _for_each(files, header)
    target = shape or common_shape(shapes)
    splits = {split: _load(listing, target) for split, listing in listings.items()}
    return Parts(splits, classes, notes=_notes(shapes, target, sum(x.others for x in listings.values())))


def common_shape(shapes: list[ImageShape]) -> ImageShape:
    """The size of all images where they agree, else the median; grey only if every image is."""
    sizes = {(shape.height, shape.width) for shape in shapes}
    height, width = (median_low(side) for side in zip(*((s.height, s.width) for s in shapes), strict=True))
    if len(sizes) == 1:
        height, width = sizes.pop()
    shrink = min(1.0, LARGEST_SIDE / max(height, width))
    height, width = (max(1, round(side * shrink)) for side in (height, width))
    return ImageShape(max(s.channels for s in shapes), height, width)


def _visible_folders(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and is_visible(p, folder)]


def _split_folders(folder: Path) -> dict[Split, Path]:
    below = _visible_folders(folder)
    named: dict[Split, Path] = {}
    for path in [p for p in below if p.name.lower() in SPLITS]:
        first = named.setdefault(SPLITS[path.name.lower()], path)
        if first != path:
            raise DatasetError(path, f"is a second folder of the split {first.name}/: keep one")
    if odd := [p for p in below if named and p not in named.values()]:
        raise DatasetError(odd[0], f"lies beside {next(iter(named.values())).name}/: move it into a split")
    return named or {"train": folder}


def _classes(folder: Path, root: Path) -> tuple[str, ...]:
    if names := read_labels(folder / LABELS):
        return names
    below = _visible_folders(root)
    if not below:
        raise DatasetError(root, "has no class folders: put the images of each class in a folder of its name")
    return tuple(p.name for p in below)


def _list(root: Path, classes: tuple[str, ...]) -> _Listing:
    if loose := [p for p in sorted(root.iterdir()) if p.is_file() and _is_image(p) and is_visible(p, root)]:
        raise DatasetError(loose[0], "is in no class folder: put it in a folder with the name of its class")
    listing = _Listing([], [], others=0)
    others = 0
    for below in _visible_folders(root):
        if below.name not in classes:
            raise DatasetError(below, f"is no class of the data set: known are {', '.join(classes)}")
        files = [p for p in sorted(below.rglob("*")) if p.is_file() and is_visible(p, below)]
        images = [p for p in files if _is_image(p)]
        if not images:
            raise DatasetError(below, "has no image in it")
        listing.files.extend(images)
        listing.labels.extend([classes.index(below.name)] * len(images))
        others += len(files) - len(images)
    if not listing.files:
        raise DatasetError(root, f"has no class folders with images: known are {', '.join(classes)}")
    return _Listing(listing.files, listing.labels, others)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _for_each(files: list[Path], work: Callable[[Path], _T]) -> list[_T]:
    """Decoders release the interpreter lock, so threads help."""

    def named(file: Path) -> _T:
        try:
            if not file.stat().st_size:
                raise PictureError("is empty")
            return work(file)
        except (PictureError, OSError) as error:
            raise DatasetError(file, str(error)) from error

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(named, files))


def _load(listing: _Listing, shape: ImageShape) -> Images:
    pixels = _for_each(listing.files, lambda file: decode(file, shape))
    return Images(np.stack(pixels), np.array(listing.labels, np.int64))


def _notes(shapes: list[ImageShape], target: ImageShape, others: int) -> tuple[str, ...]:
    size = (target.height, target.width)
    changed = Counter((s.height, s.width) == size for s in shapes)[False]
    limit = f", for {LARGEST_SIDE} is the largest side" if max(size) == LARGEST_SIDE else ""
    resized = f"{changed:,} of {len(shapes):,} images were resized to {target.height}x{target.width}{limit}"
    ignored = f"{others:,} files that are no images were ignored"
    return tuple(note for note, count in ((resized, changed), (ignored, others)) if count)

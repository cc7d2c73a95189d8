"""What the readers of detection data give: pictures with the boxes of their objects, split for training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaka.data.dataset import DatasetError, Split, class_index, one_split, to_learn_from


@dataclass(frozen=True)
class Picture:
    """An image file with its objects. Nothing of the image is in memory."""

    file: Path
    width: int
    height: int
    boxes: NDArray[np.float32]
    """[k, 4] of left, top, right, bottom in pixels, inside of the picture, none of zero area."""
    classes: NDArray[np.int64]
    """[k], which index the class names."""
    crowd: NDArray[np.bool_]
    """[k]: the box holds many objects that nobody told apart. Not trained on, and no miss when measured."""

    @property
    def objects(self) -> int:
        """How many there are to find."""
        return int((~self.crowd).sum())


@dataclass(frozen=True)
class Parts:
    """What a folder holds: see `vaka.data.dataset.Parts`."""

    splits: Mapping[Split, list[Picture]]
    classes: tuple[str, ...]
    named: bool = True
    notes: tuple[str, ...] = ()

    def choose(self, split: str, source: Path) -> list[Picture]:
        """One split's pictures, those of `all`, or by `auto` the best to measure with."""
        if split == "all":
            return [picture for pictures in self.splits.values() for picture in pictures]
        return one_split(self.splits, split, source)


@dataclass(frozen=True)
class DetectionSet:
    """Pictures to train on and others to measure with."""

    train: list[Picture]
    validation: list[Picture]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def divide(parts: Parts, folder: Path, *, validation_fraction: float, seed: int) -> DetectionSet:
    """Training and validation pictures: the folder's own split, else a seeded one."""
    train, held_out = to_learn_from(parts.splits, folder)
    notes = parts.notes
    if not held_out:
        if len(train) < 2:
            raise DatasetError(folder, "has one picture: training needs two, one of them to measure with")
        chosen = _held_out(train, validation_fraction, seed)
        notes += (f"no test split: {len(chosen):,} of {len(train):,} pictures are held out for validation",)
        held_out = [train[i] for i in sorted(chosen)]
        train = [picture for i, picture in enumerate(train) if i not in chosen]
    check_boxes(train, folder, "there is nothing to find in its training pictures")
    check_boxes(held_out, folder, "there is nothing to measure by in its validation pictures")
    return DetectionSet(train, held_out, parts.classes, notes)


def _held_out(pictures: list[Picture], part: float, seed: int) -> set[int]:
    """Which pictures to measure with: as large a part of those with objects as of those without any."""
    order = np.random.default_rng(seed).permutation(len(pictures)).tolist()
    full = [i for i in order if pictures[i].objects]
    empty = [i for i in order if not pictures[i].objects]
    return {*full[: max(1, round(len(full) * part))], *empty[: round(len(empty) * part)]}


def check_boxes(pictures: list[Picture], folder: Path, otherwise: str) -> None:
    """DatasetError where no picture has a box of a single object."""
    if not any(picture.objects for picture in pictures):
        crowds = any(len(picture.boxes) for picture in pictures)
        raise DatasetError(folder, f"{otherwise}: none has a box{' but of crowds' if crowds else ''}")


def relabel(parts: Parts, classes: tuple[str, ...], folder: Path) -> Parts:
    """The same pictures with classes that index `classes`, by name where the data set names its classes."""
    used = sorted({int(i) for pictures in parts.splits.values() for p in pictures for i in p.classes})
    if not parts.named:
        if used and used[-1] >= len(classes):
            raise DatasetError(folder, f"has class {used[-1]}: the model knows 0 to {len(classes) - 1}")
        return replace(parts, classes=classes)
    index = class_index(parts.classes, used, classes, folder)
    splits = {
        split: [replace(picture, classes=index[picture.classes]) for picture in pictures]
        for split, pictures in parts.splits.items()
    }
    return replace(parts, splits=splits, classes=classes)

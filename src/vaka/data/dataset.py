"""What readers give: images with their labels, split for training, and the error that names the file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
T = TypeVar("T")


class DatasetError(Exception):
    """The data set is broken: which file, and why. Trying again cannot help."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file}: {why}")
        self.file = file
        self.why = why


def one_split(splits: Mapping[Split, T], split: str, source: Path) -> T:
    """The split of this name, or by `auto` the best to measure with: test if there is one."""
    order: tuple[Split, ...] = ("test", "validation", "train")
    for name in order if split == "auto" else [name for name in order if name == split]:
        if name in splits:
            return splits[name]
    raise DatasetError(source, f"has no {split} split: it has {', '.join(splits)}")


def to_learn_from(splits: Mapping[Split, T], source: Path) -> tuple[T, T | None]:
    """What to train on, and what the data set itself holds out to measure with: validation before test.

    DatasetError where there is nothing to train on.
    """
    train = splits.get("train")
    if not train:
        raise DatasetError(source, f"has only {' and '.join(splits)} data: training needs train data")
    return train, splits.get("validation") or splits.get("test")


def class_index(
    names: Sequence[str], used: Iterable[int], classes: Sequence[str], folder: Path
) -> NDArray[np.int64]:
    """Where each of a data set's classes stands among `classes`, int64 [names]; -1 for one that is not used.

    DatasetError where one that is used is unknown.
    """
    place = {name: index for index, name in enumerate(classes)}
    for name in (names[i] for i in used):
        if name not in place:
            raise DatasetError(folder, f"has class {name}: the model knows {', '.join(classes)}")
    return np.array([place.get(name, -1) for name in names], np.int64)


@dataclass(frozen=True)
class ImageShape:
    """Size of every image of a data set."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}x{self.channels}"


@dataclass(frozen=True)
class Images:
    """Labelled images: pixels uint8 [n, channels, h, w], labels int64 [n] that index the class names."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: NDArray[np.bool_] | slice) -> "Images":
        return Images(self.pixels[index], self.labels[index])

    @property
    def shape(self) -> ImageShape:
        return ImageShape(*self.pixels.shape[1:])


@dataclass(frozen=True)
class Parts:
    """What a folder holds: the splits that it names, its classes, and what a person should know of it.

    `named` says that the classes have names of their own; otherwise they are the labels' numbers.
    """

    splits: Mapping[Split, Images]
    classes: tuple[str, ...]
    named: bool = True
    notes: tuple[str, ...] = ()

    def choose(self, split: str, source: Path) -> Images:
        """One split's images, those of `all`, or by `auto` the best to measure with: test if there is one."""
        if split == "all":
            every = list(self.splits.values())
            pixels, labels = ([getattr(images, part) for images in every] for part in ("pixels", "labels"))
            return Images(np.concatenate(pixels), np.concatenate(labels))
        return one_split(self.splits, split, source)


@dataclass(frozen=True)
class Dataset:
    """Images to train on and others to measure with."""

    train: Images
    validation: Images
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def divide(parts: Parts, folder: Path, *, validation_fraction: float, seed: int) -> Dataset:
    """Training and validation images: the folder's own split, else a seeded and stratified one."""
    train, held_out = to_learn_from(parts.splits, folder)
    _check_trainable(train, parts, folder)
    notes = parts.notes
    if not held_out:
        chosen = stratified(train.labels, validation_fraction, seed)
        if not chosen.any():
            raise DatasetError(folder, "has one image of each class: one more is needed to measure with")
        notes += (f"no test split: {chosen.sum():,} of {len(train):,} images are held out for validation",)
        train, held_out = train[~chosen], train[chosen]
    return Dataset(train, held_out, parts.classes, notes + _unmeasured(train, held_out, parts.classes))


def stratified(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Mask bool [n] of a fraction of at most a half of the labels, at least one, spread evenly over the
    classes. Those that are the only one of their class do not count: something must be left to learn from.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    several = by_class[np.bincount(labels)[labels[by_class]] > 1]
    chosen = np.zeros(len(labels), bool)
    if len(several):
        count = max(1, round(len(several) * fraction))
        chosen[several[((np.arange(count) + 0.5) * len(several) / count).astype(int)]] = True
    return chosen


def _unmeasured(train: Images, held_out: Images, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A note of the classes that are trained on and not measured."""
    learned = np.unique(train.labels)
    names = [classes[i] for i in np.setdiff1d(learned, held_out.labels)]
    if not names:
        return ()
    told = ", ".join(names[:10]) + (", ..." if names[10:] else "")
    return (f"{len(names):,} of {len(learned):,} classes have no image to measure with: {told}",)


def _check_trainable(train: Images, parts: Parts, folder: Path) -> None:
    present = np.unique(train.labels)
    if len(present) < 2:
        raise DatasetError(
            folder, f"has one class only ({parts.classes[present[0]]}): there is nothing to tell apart"
        )
    shape = train.shape
    if min(shape.height, shape.width) < 8:
        why = f"has images of {shape}: they must be at least 8x8"
        raise DatasetError(folder, "; ".join((why, *parts.notes)))


def relabel(parts: Parts, classes: tuple[str, ...], folder: Path) -> Parts:
    """The same images with labels that index `classes`, by name where the data set names its classes."""
    if not parts.named:
        most = max(int(images.labels.max()) for images in parts.splits.values())
        if most >= len(classes):
            raise DatasetError(folder, f"has label {most}: the model knows 0 to {len(classes) - 1}")
        return replace(parts, classes=classes)
    used = {int(i) for images in parts.splits.values() for i in np.unique(images.labels)}
    index = class_index(parts.classes, sorted(used), classes, folder)
    splits = {split: Images(images.pixels, index[images.labels]) for split, images in parts.splits.items()}
    return replace(parts, splits=splits, classes=classes)

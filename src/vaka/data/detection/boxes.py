"""Boxes as people write them: what is wrong is repaired, or left out, and told."""

from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaka.data.dataset import DatasetError
from vaka.data.detection.dataset import Picture
from vaka.data.pictures import PictureError, upright_size

_SLACK = 1.0
"""Pixels that a box may reach out of its picture without a word: tools round."""
_EMPTY = "of zero area"
_OUTSIDE = "outside of the picture"
_CLIPPED = "reaching out of the picture"
_REPEATED = "told twice"


class Boxes:
    """Makes the pictures of a data set, and counts what it repairs."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, Path] = {}

    def picture(
        self,
        file: Path,
        said: Path,
        boxes: list[tuple[float, float, float, float]],
        classes: list[int],
        *,
        crowd: list[bool] | None = None,
        size: tuple[int, int] | None = None,
        relative: bool = False,
    ) -> Picture:
        """A picture with its repaired boxes.

        Args:
            said: the file that has the boxes, for errors and notes.
            boxes: left, top, right, bottom in pixels, or where `relative` in parts of the picture's size.
            size: width and height, as said there.
        """
        width, height = _size(file, said, size)
        scale = np.array([width, height, width, height], float) if relative else np.ones(4)
        given = np.array(boxes, float).reshape(-1, 4) * scale
        if not np.isfinite(given).all():
            raise DatasetError(said, f"has a box of {file.name} that is no finite number")
        clipped = np.clip(given, 0, [width, height, width, height])
        crowd = crowd or [False] * len(boxes)
        kinds, crowds = np.array(classes, np.int64), np.array(crowd, bool)
        repeated = _repeated(zip(boxes, classes, crowd, strict=True))
        kept = self._judged(given, clipped, repeated, said)
        return Picture(file, width, height, clipped[kept].astype(np.float32), kinds[kept], crowds[kept])

    def _judged(
        self,
        given: NDArray[np.float64],
        clipped: NDArray[np.float64],
        repeated: NDArray[np.bool_],
        said: Path,
    ) -> NDArray[np.bool_]:
        """Mask of the boxes that stay."""
        empty = (given[:, 2:] <= given[:, :2]).any(axis=1)
        outside = ~empty & (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
        reaching = ~empty & ~outside & (np.abs(given - clipped) > _SLACK).any(axis=1)
        wrong = {_EMPTY: empty, _OUTSIDE: outside, _CLIPPED: reaching, _REPEATED: repeated}
        for what, found in wrong.items():
            if count := int(found.sum()):
                self._counts[what] += count
                self._first.setdefault(what, said)
        return np.logical_not(empty | outside | repeated)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the boxes."""
        done = {
            _EMPTY: "left out",
            _OUTSIDE: "left out",
            _CLIPPED: "cut off at its edge",
            _REPEATED: "counted once",
        }
        counts = {what: "1 box" if n == 1 else f"{n:,} boxes" for what, n in self._counts.items()}
        return tuple(f"{n} {what}, {done[what]}; first in {self._first[what]}" for what, n in counts.items())


def _repeated(things: Iterable[Hashable]) -> NDArray[np.bool_]:
    """Mask [n] of the things that have been there before."""
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(thing, i) != i for i, thing in enumerate(things)], bool)


def _size(file: Path, said: Path, size: tuple[int, int] | None) -> tuple[int, int]:
    try:
        found = upright_size(file)
    except PictureError as error:
        raise DatasetError(file, str(error)) from error
    if size and size != found:
        told, real = (f"{width}x{height}" for width, height in (size, found))
        raise DatasetError(said, f"says that {file.name} has {told} pixels: it has {real}, seen upright")
    return found

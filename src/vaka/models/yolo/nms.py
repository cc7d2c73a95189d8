"""From what a graph finds in each cell to objects: non-maximum suppression within each class."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_BLOCK = 256
"""Candidates that are compared with each other at once."""


class Suppression(NamedTuple):
    """Which candidates become objects."""

    score: float = 0.25
    """Less likely ones are left out."""
    overlap: float = 0.6
    """IoU from which on of two boxes of one class only the likelier stays."""
    most: int = 300
    """Objects of a picture."""
    several: bool = False
    """Whether a cell may name several classes, as the measures of detection reward, or only its likeliest."""
    candidates: int = 3000
    """Of more than these, the likeliest are looked at."""


SERVED = Suppression()
"""What people get who say nothing."""


class Detections(NamedTuple):
    """The objects of a picture, the likeliest first."""

    boxes: Floats
    """[k, 4] of left, top, right, bottom."""
    scores: Floats
    """[k]."""
    classes: NDArray[np.int64]
    """[k]."""


def suppress(boxes: Floats, scores: Floats, how: Suppression) -> list[Detections]:
    """The objects of each picture of a batch: boxes [n, cells, 4], scores [n, cells, classes]."""
    return [_objects(*one, how) for one in zip(boxes, scores, strict=True)]


def _objects(boxes: Floats, scores: Floats, how: Suppression) -> Detections:
    cells, classes = _candidates(scores, how)
    likely = scores[cells, classes]
    if len(likely) > how.candidates:
        kept = np.argpartition(-likely, how.candidates)[: how.candidates]
        cells, classes, likely = cells[kept], classes[kept], likely[kept]
    order = np.argsort(-likely, kind="stable")
    found = Detections(boxes[cells[order]], likely[order], classes[order])
    chosen = _survivors(found, how)
    return Detections(found.boxes[chosen], found.scores[chosen], found.classes[chosen])


def _candidates(scores: Floats, how: Suppression) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if how.several:
        cells, classes = np.nonzero(scores > how.score)
        return cells, classes
    cells = np.nonzero(scores.max(axis=1) > how.score)[0]
    return cells, scores[cells].argmax(axis=1)


def _survivors(found: Detections, how: Suppression) -> NDArray[np.int64]:
    """Places of those that no likelier one of the same class suppresses, by blocks of falling score."""
    kept = np.empty(0, np.int64)
    for start in range(0, len(found.scores), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(found.scores)))
        alive = block[~_rivals(found, kept, block, how.overlap).any(axis=0)]
        kept = np.concatenate([kept, alive[_greedy(_rivals(found, alive, alive, how.overlap))]])
        if len(kept) >= how.most:
            break
    return kept[: how.most]


def _rivals(found: Detections, a: Any, b: Any, overlap: float) -> NDArray[np.bool_]:
    """Whether boxes are of one class and overlap by more than that, [a, b]."""
    same = found.classes[a][:, None] == found.classes[b]
    rivals: NDArray[np.bool_] = same & (iou(found.boxes[a], found.boxes[b]) > overlap)
    return rivals


def _greedy(rivals: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask of those that stay when each, from the first on, removes its later rivals."""
    earlier = np.triu(rivals, 1)
    stays = np.ones(len(rivals), bool)
    while True:  # Each round settles at least one more: what is not suppressed by any that stays, stays.
        now = np.logical_not((earlier & stays[:, None]).any(axis=0))
        if (now == stays).all():
            return stays
        stays = now


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes [n, 4] and [m, 4]: [n, m]."""
    # A plane for each side: pairs in the last dimension take ten times as long.
    left, top, right, bottom = np.ascontiguousarray(a.T)[:, :, None]
    lefts, tops, rights, bottoms = np.ascontiguousarray(b.T)
    both = np.maximum(np.minimum(right, rights) - np.maximum(left, lefts), 0)
    both *= np.maximum(np.minimum(bottom, bottoms) - np.maximum(top, tops), 0)
    union = _area(a)[:, None] + _area(b)[None] - both
    shared: Floats = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return shared


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area

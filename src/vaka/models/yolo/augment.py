"""Training pictures: mosaics of four, at random places and sizes, mirrored or not. All by one generator."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from vaka.models.yolo.letterbox import GREY
from vaka.models.yolo.pixels import Pixels

_VISIBLE = 0.2
"""Part of an object that must be left of it where it is cut off; with less, nobody could name it."""
_SMALLEST = 2.0
"""Pixels of the shorter side of an object."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far a picture may be changed."""

    mosaic: float = 1.0
    """How often four pictures are put together instead of one alone (Bochkovskiy et al., "YOLOv4", 2020)."""
    zoom: float = 0.5
    """By how much larger or smaller it is shown."""
    shift: float = 0.1
    """How far it is moved, in sides of the square."""
    mirror: float = 0.5
    """How often left and right are swapped."""


class Sample(NamedTuple):
    """A training picture uint8 [side, side, 3] and its objects: boxes [k, 4] in pixels, classes [k]."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


class _Tile(NamedTuple):
    """A picture of the data set, and where in the square its corner comes to lie."""

    number: int
    left: float
    top: float


def sample(pictures: Pixels, index: int, side: int, how: Augmentation, random: Generator) -> Sample:
    """That picture of the data set as it is shown in training, others beside it."""
    scale = random.uniform(1 - how.zoom, 1 + how.zoom)
    shift = random.uniform(-how.shift, how.shift, 2) * side
    if random.random() < how.mosaic:
        tiles = list(_four(pictures, index, side, scale, shift, random))
    else:
        tiles = [_alone(pictures, index, side, scale, shift)]
    composed = _composed(pictures, tiles, side, scale)
    return _mirrored(composed, side) if random.random() < how.mirror else composed


def _alone(pictures: Pixels, index: int, side: int, scale: float, shift: NDArray[np.float64]) -> _Tile:
    height, width, _ = pictures[index].shape
    left, top = (side - scale * np.array([width, height])) / 2 + shift
    return _Tile(index, left, top)


def _four(
    pictures: Pixels, index: int, side: int, scale: float, shift: NDArray[np.float64], random: Generator
) -> Iterator[_Tile]:
    """Four around a point in the inner half of a field of twice the side, whose middle is shown."""
    across, down = scale * random.uniform(-0.5, 0.5, 2) * side + side / 2 + shift
    others = random.integers(len(pictures), size=3)
    for place, which in enumerate([index, *others.tolist()]):
        height, width, _ = pictures[which].shape
        left = across - (scale * width if place % 2 == 0 else 0)
        top = down - (scale * height if place < 2 else 0)
        yield _Tile(which, left, top)


def _composed(pictures: Pixels, tiles: list[_Tile], side: int, scale: float) -> Sample:
    square = np.full((side, side, 3), GREY, np.uint8)
    boxes, classes = [], []
    for tile in tiles:
        _paste(square, pictures[tile.number], tile, scale)
        offset = np.array([tile.left, tile.top] * 2, np.float32)
        placed = pictures.boxes(tile.number) * np.float32(scale) + offset
        seen = np.clip(placed, 0, side)
        kept = _still_there(placed, seen)
        boxes.append(seen[kept])
        classes.append(pictures.classes(tile.number)[kept])
    return Sample(square, np.concatenate(boxes), np.concatenate(classes))


def _paste(square: NDArray[np.uint8], pixels: NDArray[np.uint8], tile: _Tile, scale: float) -> None:
    """Draw what is seen of a picture; nothing else of it is resized."""
    side = len(square)
    height, width, _ = pixels.shape
    left, right = (int(np.clip(round(edge), 0, side)) for edge in (tile.left, tile.left + scale * width))
    top, bottom = (int(np.clip(round(edge), 0, side)) for edge in (tile.top, tile.top + scale * height))
    if right <= left or bottom <= top:
        return
    source = np.array([left - tile.left, top - tile.top, right - tile.left, bottom - tile.top]) / scale
    box = np.clip(source, 0, [width, height, width, height])
    if (box[2:] - box[:2]).min() <= 0:
        return
    shown = Image.fromarray(pixels).resize(
        (right - left, bottom - top), Image.Resampling.BILINEAR, box=tuple(box.tolist())
    )
    square[top:bottom, left:right] = np.asarray(shown)


def _still_there(placed: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask of the objects of which enough is seen."""
    whole, part = (boxes[:, 2:] - boxes[:, :2] for boxes in (placed, seen))
    enough = part.prod(axis=1) >= _VISIBLE * whole.prod(axis=1)
    large = part.min(axis=1, initial=np.inf) >= _SMALLEST
    kept: NDArray[np.bool_] = enough & large
    return kept


def _mirrored(found: Sample, side: int) -> Sample:
    boxes = found.boxes.copy()
    boxes[:, [0, 2]] = side - found.boxes[:, [2, 0]]
    return Sample(found.pixels[:, ::-1], boxes, found.classes)

"""Pictures of any size into the square that the graph takes, and boxes back: nothing is stretched."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY = 114
"""What the rest of the square is filled with."""


class Placement(NamedTuple):
    """Where a picture lies in the square: at `left`, `top`, `scale` times as large. In pixels."""

    scale: float
    left: int
    top: int

    def unplaced(self, boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
        """Boxes [k, 4] of the square as boxes of the picture, which has that size: none reaches beyond it."""
        offset, limits = (np.array(pair * 2, np.float32) for pair in ([self.left, self.top], [width, height]))
        own: NDArray[np.float32] = np.clip((boxes - offset) / np.float32(self.scale), 0, limits)
        return own


def fitted_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side becomes `side`."""
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def fitted(width: int, height: int, side: int) -> Placement:
    """A picture of that size in the middle of a square, as large as fits."""
    across, down = fitted_size(width, height, side)
    return Placement(side / max(width, height), (side - across) // 2, (side - down) // 2)


def fitting(picture: Image.Image, side: int) -> Image.Image:
    """The picture with a longer side of that many pixels."""
    size = fitted_size(*picture.size, side)
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def letterbox(picture: Image.Image, side: int) -> tuple[NDArray[np.uint8], Placement]:
    """Pixels uint8 [3, side, side] of an RGB picture in the middle of the square, and where it lies there."""
    place = fitted(*picture.size, side)
    return squared(fitting(picture, side), side), place


def squared(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """Pixels uint8 [3, side, side] of an RGB picture that fits, in the middle of the square."""
    square = np.full((3, side, side), GREY, np.uint8)
    left, top = (side - picture.width) // 2, (side - picture.height) // 2
    for plane, band in zip(square, picture.split(), strict=True):
        plane[top : top + picture.height, left : left + picture.width] = np.asarray(band)
    return square

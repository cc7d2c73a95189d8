"""A data set that is learned in seconds: red and blue squares on grey."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaka.data.detection.dataset import DetectionSet, Picture

CLASSES = ("red", "blue")
_COLOURS = {0: (230, 30, 30), 1: (30, 60, 230)}

Shades = Callable[..., DetectionSet]


def _picture(file: Path, number: int, size: tuple[int, int]) -> Picture:
    random = np.random.default_rng(number)
    pixels = np.full((size[1], size[0], 3), 120, np.uint8)
    side = int(random.integers(14, 30))
    left, top = (int(random.integers(0, length - side)) for length in size)
    kind = number % 2
    pixels[top : top + side, left : left + side] = _COLOURS[kind]
    Image.fromarray(pixels).save(file)
    box = np.array([[left, top, left + side, top + side]], np.float32)
    return Picture(file, *size, box, np.array([kind]), np.array([False]))


@pytest.fixture
def squares(tmp_path: Path) -> Shades:
    """Makes a data set of so many pictures, every other one of each class."""

    def make(count: int = 16, size: tuple[int, int] = (64, 64)) -> DetectionSet:
        pictures = [_picture(tmp_path / f"{number}.png", number, size) for number in range(count + 4)]
        return DetectionSet(pictures[:count], pictures[count:], CLASSES)

    return make

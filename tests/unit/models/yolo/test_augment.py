"""Training pictures hold what their boxes say, and the seed decides all."""

from collections.abc import Callable

import numpy as np
import pytest

from vaka.models.yolo.augment import Augmentation, Sample, sample
from vaka.models.yolo.letterbox import GREY
from vaka.models.yolo.pixels import Pixels

PLAIN = Augmentation(mosaic=0, zoom=0, shift=0, mirror=0)
ALL = Augmentation()


def drawn(pictures: Pixels, how: Augmentation, seed: int = 0, side: int = 64) -> Sample:
    return sample(pictures, 0, side, how, np.random.default_rng(seed))


@pytest.fixture
def pictures(squares: Callable) -> Pixels:  # type: ignore[type-arg]
    return Pixels(squares(8).train, 64)


def test_nothing_asked_is_nothing_changed(pictures: Pixels) -> None:
    result = drawn(pictures, PLAIN)
    assert np.array_equal(result.pixels, pictures[0])
    assert np.array_equal(result.boxes, pictures.boxes(0))


def test_the_seed_decides_everything(pictures: Pixels) -> None:
    one, same, other = (drawn(pictures, ALL, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.pixels, same.pixels)
    assert np.array_equal(one.boxes, same.boxes)
    assert not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("seed", range(30))
def test_boxes_hold_the_colour_of_their_class(pictures: Pixels, seed: int) -> None:
    result = drawn(pictures, ALL, seed)
    assert ((result.boxes >= 0) & (result.boxes <= 64)).all()
    for box, kind in zip(result.boxes, result.classes, strict=True):
        x, y = ((box[:2] + box[2:]) / 2).astype(int).clip(0, 63)
        red, _, blue = result.pixels[y, x].astype(int)
        assert red - blue > 80 if kind == 0 else blue - red > 80


def test_a_mirrored_picture_has_mirrored_boxes(pictures: Pixels) -> None:
    result = drawn(pictures, Augmentation(mosaic=0, zoom=0, shift=0, mirror=1))
    assert np.array_equal(result.pixels, pictures[0][:, ::-1])
    left, _, right, _ = pictures.boxes(0)[0]
    assert result.boxes[0, [0, 2]].tolist() == [64 - right, 64 - left]


def test_what_is_hardly_seen_is_no_object(pictures: Pixels) -> None:
    results = [drawn(pictures, Augmentation(mosaic=0, zoom=0, shift=1, mirror=0), seed) for seed in range(40)]
    gone = [result for result in results if not len(result.boxes)]
    assert gone
    assert all(result.boxes.shape == (0, 4) for result in gone)


def test_a_picture_smaller_than_the_square_is_on_grey(squares: Callable) -> None:  # type: ignore[type-arg]
    wide = Pixels(squares(4, (64, 32)).train, 64)
    result = drawn(wide, PLAIN)
    assert result.pixels[0, 0].tolist() == [GREY] * 3
    assert np.array_equal(result.boxes, wide.boxes(0) + np.array([0, 16, 0, 16]))

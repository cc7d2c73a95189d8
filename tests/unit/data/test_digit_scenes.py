"""Scenes are composed of the digits that they say, and the seed decides all."""

import numpy as np

from vaka.data.packaged.digit_scenes import OVERLAP, SIDE, covered, cut, resized, scene

GLYPHS = [np.full((20, 6 + 4 * number), 255, np.uint8) for number in range(3)]
VALUES = np.array([1, 7, 0])


def test_the_seed_decides_everything() -> None:
    (one, _), (same, _), (other, _) = (scene(GLYPHS, VALUES, seed) for seed in ("a", "a", "b"))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_box_is_where_a_digit_has_ink_and_digits_overlap_a_little_at_most() -> None:
    for number in range(40):
        pixels, digits = scene(GLYPHS, VALUES, str(number))
        assert digits
        for digit in digits:
            left, top, width, height = digit.box
            assert 0 <= left <= left + width <= SIDE
            assert 0 <= top <= top + height <= SIDE
            assert (pixels[top : top + height, left : left + width] == 255).all()
            others = [other for other in digits if other is not digit]
            assert all(covered(digit.box, other.box) <= OVERLAP for other in others)


def test_a_glyph_is_cut_to_its_ink_and_keeps_its_shape() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[5:25, 10:20] = 200
    assert cut(image).shape == (20, 10)
    assert resized(cut(image), 40).shape == (40, 20)

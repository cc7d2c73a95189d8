"""A box that goes into the square comes back where it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vaka.models.yolo.letterbox import GREY, fitted, letterbox

lengths = st.integers(1, 3000)


def test_a_wide_picture_lies_in_the_middle_between_grey() -> None:
    square, place = letterbox(Image.new("RGB", (200, 100), (255, 0, 9)), 64)
    assert square.shape == (3, 64, 64)
    assert square[:, 0, 0].tolist() == [GREY] * 3
    assert square[:, 32, 32].tolist() == [255, 0, 9]
    assert square[:, 15, 0].tolist() == [GREY] * 3
    assert square[:, 16, 0].tolist() == [255, 0, 9]
    assert place == (0.32, 0, 16)


@given(lengths, lengths, st.sampled_from([64, 320, 640]))
def test_boxes_come_back(width: int, height: int, side: int) -> None:
    place = fitted(width, height, side)
    own = np.array([[0, 0, width, height]], np.float32)
    square = own * np.float32(place.scale) + np.array([place.left, place.top] * 2, np.float32)
    assert place.unplaced(square, width, height) == pytest.approx(own, abs=0.01)
    beyond = square + np.array([-9, -9, 9, 9])
    assert place.unplaced(beyond, width, height) == pytest.approx(own, abs=0.01)

"""Boxes that cannot be are repaired or left out, and that is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vaka.data.dataset import DatasetError
from vaka.data.detection.boxes import Boxes

Write = Callable[..., Path]
SAID = Path("labels.json")
numbers = st.floats(-200, 200, width=32)


def test_what_is_repaired_is_told_with_the_file_where_it_first_was(picture: Write) -> None:
    boxes = Boxes()
    given_ = [(5.0, 5, 5, 20), (120, 10, 150, 20), (-20, 10, 30, 20), (-0.4, 0, 9, 9), *3 * [(1, 1, 9, 9)]]
    found = boxes.picture(picture("a.jpg"), SAID, given_, [0, 1, 2, 3, 4, 4, 5])
    assert found.boxes.tolist() == [[0, 10, 30, 20], [0, 0, 9, 9], [1, 1, 9, 9], [1, 1, 9, 9]]
    assert found.classes.tolist() == [2, 3, 4, 5]
    assert boxes.notes == (
        "1 box of zero area, left out; first in labels.json",
        "1 box outside of the picture, left out; first in labels.json",
        "1 box reaching out of the picture, cut off at its edge; first in labels.json",
        "1 box told twice, counted once; first in labels.json",
    )


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_boxes_lie_in_the_picture_and_have_an_area(
    picture: Write, said: list[tuple[float, float, float, float]]
) -> None:
    found = Boxes().picture(picture("a.png"), SAID, said, [0] * len(said))
    left, top, right, bottom = found.boxes.T
    assert ((left >= 0) & (left < right) & (right <= 100)).all()
    assert ((top >= 0) & (top < bottom) & (bottom <= 50)).all()
    assert len(found.boxes) == len(found.classes) == len(found.crowd)


def test_a_picture_on_its_side_is_measured_as_it_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(tmp_path / "a.jpg", exif=exif)
    found = Boxes().picture(tmp_path / "a.jpg", SAID, [], [])
    assert (found.width, found.height) == (50, 100)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"a.jpg: is no image of a known kind"):
        Boxes().picture(tmp_path / "a.jpg", SAID, [], [])

"""YOLO's text files say parts of the picture's size."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vaka.data.dataset import DatasetError
from vaka.data.detection import yolotxt

Write = Callable[..., Path]


def labelled(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/train", "labels/train"),
        ("train/images", "train/labels"),
        ("images", "labels"),
        ("train", "train"),
    ],
)
def test_boxes_come_from_centre_and_size(picture: Write, tmp_path: Path, images: str, labels: str) -> None:
    picture(f"{images}/a.jpg")
    picture(f"{images}/empty.jpg")
    labelled(tmp_path / labels / "a.txt", "1 0.5 0.5 0.2 0.4\n\n")
    labelled(tmp_path / "data.yaml", "names: [cat, dog]\n")
    parts = yolotxt.read(tmp_path)
    found, empty = parts.splits["train"]
    assert parts.classes == ("cat", "dog")
    assert found.boxes.ravel().tolist() == pytest.approx([40, 15, 60, 35])
    assert found.classes.tolist() == [1]
    assert empty.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("file", "text"),
    [("data.yaml", "names: {0: cat, 1: dog}\n"), ("classes.txt", "cat\ndog\n")],
)
def test_names_may_be_told_in_several_ways(picture: Write, tmp_path: Path, file: str, text: str) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / file, text)
    assert yolotxt.read(tmp_path).classes == ("cat", "dog")


def test_without_names_classes_are_numbers(picture: Write, tmp_path: Path) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", "2 0.5 0.5 0.2 0.4")
    parts = yolotxt.read(tmp_path)
    assert parts.classes == ("0", "1", "2")
    assert not parts.named


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0 0.5 0.5 0.2", "line 2 is '0 0.5 0.5 0.2': expected are 5 numbers, class x y width height"),
        ("cat 0.5 0.5 0.2 0.1", "line 2 is 'cat 0.5"),
        ("2 0.5 0.5 0.2 0.1", "line 2 has class 2: known are 0 to 1"),
        ("0 50 50 20 10", "line 2 has 50: values are parts of the picture's size, 0..1"),
        ("0 nan 0.5 0.2 0.1", "has a box of a.jpg that is no finite number"),
    ],
)
def test_what_is_wrong_is_named(picture: Write, tmp_path: Path, line: str, complaint: str) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", f"0 0.5 0.5 0.2 0.4\n{line}\n")
    labelled(tmp_path / "classes.txt", "cat\ndog\n")
    with pytest.raises(DatasetError, match=complaint):
        yolotxt.read(tmp_path)


def test_names_that_leave_out_numbers_are_refused(picture: Write, tmp_path: Path) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / "data.yaml", "names: {1: cat, 5: dog}\n")
    with pytest.raises(DatasetError, match=r"names has the keys \[1, 5\]: they must be 0, 1, 2 and so on"):
        yolotxt.read(tmp_path)

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
    [
        ("data.yaml", "names: {0: cat, 1: dog}\n"),
        ("classes.txt", "cat\ndog\n"),
        ("labels/classes.txt", "\ufeffcat\ndog\n"),
        ("data/obj.names", "cat\ndog\n"),
    ],
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
    assert parts.notes == (
        "classes have no names, and are 0 to 2: a YAML file or classes.txt gives them some",
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0 0.5 0.5 0.2", "line 2 is '0 0.5 0.5 0.2': expected are 5 numbers, class x y width height"),
        ("cat 0.5 0.5 0.2 0.1", "line 2 is 'cat 0.5"),
        ("2 0.5 0.5 0.2 0.1", "line 2 has class 2: known are 0 to 1"),
        ("0 50 50 20 10", "line 2 has 50: values are parts of the picture's size, 0..1"),
        ("99999999999999999999 0.5 0.5 0.2 0.1", "line 2 has class 99999999999999999999: known are 0 to 1"),
        ("0 nan 0.5 0.2 0.1", "has a box of a.jpg that is no finite number"),
    ],
)
def test_what_is_wrong_is_named(picture: Write, tmp_path: Path, line: str, complaint: str) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", f"0 0.5 0.5 0.2 0.4\n{line}\n")
    labelled(tmp_path / "classes.txt", "cat\ndog\n")
    with pytest.raises(DatasetError, match=complaint):
        yolotxt.read(tmp_path)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ("{1: cat, 5: dog}", "names has the keys 1, 5: they must be 0, 1, 2 and so on"),
        ("{0: cat, one: dog}", "names has the keys 0, one: they must be"),
        ("[cat, [dog]]", "names must be a list of texts"),
        ("cat", "names must be a list of texts"),
        ("[cat, cat]", "names a class twice"),
    ],
)
def test_names_that_are_none_are_refused(picture: Write, tmp_path: Path, names: str, complaint: str) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / "data.yaml", f"names: {names}\n")
    with pytest.raises(DatasetError, match=complaint):
        yolotxt.read(tmp_path)


def test_names_are_texts_whatever_they_look_like(picture: Write, tmp_path: Path) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / "data.yaml", "names: [yes, 1, 2020-01-01, null]\n")
    assert yolotxt.read(tmp_path).classes == ("yes", "1", "2020-01-01", "null")


def test_lists_of_names_that_differ_are_refused(picture: Write, tmp_path: Path) -> None:
    for split, names in (("train", "cat\ndog\n"), ("val", "dog\ncat\n")):
        picture(f"{split}/images/a.jpg")
        labelled(tmp_path / split / "labels/a.txt", "0 0.5 0.5 0.2 0.4")
        labelled(tmp_path / split / "labels/classes.txt", names)
    with pytest.raises(DatasetError, match=r"val/labels/classes.txt: names dog, cat: .*train.* has cat, dog"):
        yolotxt.read(tmp_path)


def test_a_label_file_without_its_picture_is_told(picture: Write, tmp_path: Path) -> None:
    picture("images/a.jpg")
    for name in "ab":
        labelled(tmp_path / f"labels/{name}.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / "labels/classes.txt", "cat\n")
    assert yolotxt.read(tmp_path).notes == (
        f"1 label file has no picture, left out; first {tmp_path}/labels/b.txt",
    )


@pytest.mark.parametrize(
    "said", ["train: images/a\nval: [images/b]", "path: .\ntrain: ../images/a\nval: ../images/b"]
)
def test_a_yaml_file_says_which_folder_is_of_which_split(picture: Write, tmp_path: Path, said: str) -> None:
    for folder in "ab":
        picture(f"images/{folder}/1.jpg")
        labelled(tmp_path / f"labels/{folder}/1.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / "data.yaml", f"names: [cat]\n{said}\n")
    splits = yolotxt.read(tmp_path).splits
    assert {split: [p.file.parent.name for p in found] for split, found in splits.items()} == {
        "train": ["a"],
        "validation": ["b"],
    }


def test_a_folder_of_two_splits_is_trained_on(picture: Write, tmp_path: Path) -> None:
    picture("images/a.jpg")
    labelled(tmp_path / "labels/a.txt", "0 0.5 0.5 0.2 0.4")
    labelled(tmp_path / "data.yaml", "names: [cat]\ntrain: images\nval: images\n")
    assert set(yolotxt.read(tmp_path).splits) == {"train"}

"""The format is found by what there is, and training data is divided."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vaka.data.dataset import DatasetError
from vaka.data.detection.dataset import divide
from vaka.data.detection.load import read

Write = Callable[..., Path]


def labelled(picture: Write, folder: Path, count: int) -> None:
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("cat\n")
    for number in range(count):
        picture(f"images/{number}.png")
        (folder / f"labels/{number}.txt").write_text("0 0.5 0.5 0.2 0.4")


def test_an_archive_is_read_like_a_folder(picture: Write, tmp_path: Path) -> None:
    labelled(picture, tmp_path, 2)
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(tmp_path.glob("*/*")):
            packed.write(file, file.relative_to(tmp_path))
    parts = read(archive, format="auto", scratch=tmp_path / "scratch")
    assert len(parts.splits["train"]) == 2


@pytest.mark.parametrize(
    ("name", "text"), [("results.json", "[]"), ("notes.xml", "<broken"), ("a.json", "{")]
)
def test_what_else_lies_beside_the_labels_changes_nothing(
    picture: Write, tmp_path: Path, name: str, text: str
) -> None:
    labelled(picture, tmp_path, 2)
    (tmp_path / name).write_text(text)
    assert len(read(tmp_path, format="auto", scratch=tmp_path).splits["train"]) == 2


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("train.json", '{"images": [', "train.json: is no COCO annotation file: Input data was truncated"),
        ("a.xml", "<annotation>", "a.xml: is no XML"),
    ],
)
def test_a_broken_file_is_named_where_there_is_no_other(
    picture: Write, tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    picture("a.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=complaint):
        read(tmp_path, format="auto", scratch=tmp_path)


def test_without_a_test_split_a_seeded_part_is_held_out(picture: Write, tmp_path: Path) -> None:
    labelled(picture, tmp_path, 10)
    parts = read(tmp_path, format="yolo", scratch=tmp_path)
    one, same, other = (divide(parts, tmp_path, validation_fraction=0.2, seed=seed) for seed in (1, 1, 2))
    assert [p.file for p in one.validation] == [p.file for p in same.validation]
    assert [p.file for p in one.validation] != [p.file for p in other.validation]
    assert {p.file for p in one.train} | {p.file for p in one.validation} == {
        *(tmp_path / "images").iterdir()
    }
    assert one.notes == ("no test split: 2 of 10 pictures are held out for validation",)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_held_out_has_objects_however_rare_they_are(
    picture: Write, tmp_path: Path, seed: int
) -> None:
    labelled(picture, tmp_path, 20)
    for number in range(16):
        (tmp_path / f"labels/{number}.txt").write_text("")
    parts = read(tmp_path, format="yolo", scratch=tmp_path)
    held_out = divide(parts, tmp_path, validation_fraction=0.25, seed=seed).validation
    assert sorted(p.objects for p in held_out) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("format_", "complaint"),
    [
        ("auto", "has no boxes: neither COCO's JSON, nor VOC's XML, nor YOLO's text files"),
        ("coco", "has no COCO annotations"),
        ("voc", "has no VOC annotations"),
        ("yolo", "has no YOLO labels"),
        ("tfrecord", "cannot be read as tfrecord: known formats are auto, coco, voc, yolo"),
    ],
)
def test_a_folder_without_boxes_is_refused(
    picture: Write, tmp_path: Path, format_: str, complaint: str
) -> None:
    picture("zebra/a.png")
    with pytest.raises(DatasetError, match=complaint):
        read(tmp_path, format=format_, scratch=tmp_path)


@pytest.mark.parametrize(
    ("split", "text", "complaint"),
    [
        ("test", "0 0.5 0.5 0.2 0.4", "has only test data: training needs train data"),
        ("train", "0 0.5 0.5 0.2 0.4", "has one picture: training needs two"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    picture: Write, tmp_path: Path, split: str, text: str, complaint: str
) -> None:
    file = picture(f"{split}/a.png")
    file.with_suffix(".txt").write_text(text)
    parts = read(tmp_path, format="yolo", scratch=tmp_path)
    with pytest.raises(DatasetError, match=complaint):
        divide(parts, tmp_path, validation_fraction=0.1, seed=0)


@pytest.mark.parametrize(("empty", "what"), [("train", "find in its training"), ("val", "measure by in its")])
def test_pictures_without_any_box_are_no_data(picture: Write, tmp_path: Path, empty: str, what: str) -> None:
    for split in ("train", "val"):
        text = "" if split == empty else "0 0.5 0.5 0.2 0.4"
        picture(f"{split}/a.png").with_suffix(".txt").write_text(text)
    with pytest.raises(DatasetError, match=f"there is nothing to {what} .*: none has a box"):
        divide(read(tmp_path, format="yolo", scratch=tmp_path), tmp_path, validation_fraction=0.1, seed=0)


def test_boxes_of_crowds_alone_are_nothing_to_find(picture: Write, tmp_path: Path) -> None:
    for split, crowd in (("train", 0), ("val", 1)):
        picture(f"{split}/a.png")
        content = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": crowd}],
            "categories": [{"id": 1, "name": "cat"}],
        }
        (tmp_path / split / "a.json").write_text(json.dumps(content))
    with pytest.raises(
        DatasetError, match="measure by in its validation pictures: none has a box but of crowds"
    ):
        divide(read(tmp_path, format="coco", scratch=tmp_path), tmp_path, validation_fraction=0.1, seed=0)

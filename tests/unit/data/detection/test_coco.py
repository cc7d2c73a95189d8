"""COCO's JSON is read in each of the layouts that it commonly has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vaka.data.dataset import DatasetError
from vaka.data.detection import coco

Write = Callable[..., Path]
CATEGORIES = [{"id": 7, "name": "zebra"}, {"id": 3, "name": "ant"}]


def annotated(file: Path, name: str = "a.jpg", **changes: Any) -> None:
    content: dict[str, Any] = {
        "images": [{"id": 5, "file_name": name, "width": 100, "height": 50}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 7, "bbox": [10, 20, 30, 5]},
            {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 9.5, 8], "iscrowd": 1},
        ],
        "categories": CATEGORIES,
    } | changes
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("annotations/instances_train2017.json", "train2017/a.jpg"),
        ("train/_annotations.coco.json", "train/a.jpg"),
        ("train.json", "images/a.jpg"),
        ("anything.json", "a.jpg"),
    ],
)
def test_boxes_are_corners_and_classes_in_the_order_of_their_numbers(
    picture: Write, tmp_path: Path, said: str, where: str
) -> None:
    picture(where)
    annotated(tmp_path / said)
    parts = coco.read(tmp_path)
    (found,) = parts.splits["train"]
    assert parts.classes == ("ant", "zebra")
    assert found.file == tmp_path / where
    assert found.boxes.tolist() == [[10, 20, 40, 25], [0, 0, 9.5, 8]]
    assert found.classes.tolist() == [1, 0]
    assert found.crowd.tolist() == [False, True]


def test_splits_with_pictures_of_the_same_name_are_told_apart(picture: Write, tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(f"images/{split}/a.jpg")
        annotated(tmp_path / f"annotations/{split}.json")
    splits = coco.read(tmp_path).splits
    assert splits["train"][0].file == tmp_path / "images/train/a.jpg"
    assert splits["validation"][0].file == tmp_path / "images/val/a.jpg"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"categories": CATEGORIES[:1]}, r"annotations\[1\].category_id is 3: there is none of this id"),
        ({"images": [{"id": 5, "file_name": "b.jpg"}]}, "names b.jpg, which is nowhere in"),
        ({"annotations": [{"image_id": 5, "category_id": 7, "bbox": [1]}]}, "is no COCO annotation file"),
        (
            {"images": [{"id": 5, "file_name": "a.jpg", "width": 50, "height": 50}]},
            "says that a.jpg has 50x50 pixels: it has 100x50",
        ),
    ],
)
def test_what_is_wrong_is_named(
    picture: Write, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    picture("a.jpg")
    annotated(tmp_path / "train.json", **changes)
    with pytest.raises(DatasetError, match=complaint):
        coco.read(tmp_path)


def test_a_second_file_of_no_split_is_refused(picture: Write, tmp_path: Path) -> None:
    picture("a.jpg")
    for name in ("one.json", "two.json"):
        annotated(tmp_path / name)
    with pytest.raises(DatasetError, match=r"may be of any split: put train, val or test into its name"):
        coco.read(tmp_path)

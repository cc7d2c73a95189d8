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
            {"images": [{"id": 5, "file_name": "a.jpg"}, {"id": 5, "file_name": "b.jpg"}]},
            r"images\[1\].id is 5: images\[0\].id is, too",
        ),
        (
            {"images": [{"id": 5, "file_name": "a.jpg"}, {"id": 6, "file_name": "a.jpg"}]},
            r"images\[1\].file_name is a.jpg: images\[0\].file_name is, too",
        ),
        (
            {"categories": [*CATEGORIES, {"id": 3, "name": "ape"}]},
            r"categories\[2\].id is 3: categories\[1\]",
        ),
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


def test_numbers_and_flags_may_be_written_as_tools_do(picture: Write, tmp_path: Path) -> None:
    picture("a.jpg")
    annotated(
        tmp_path / "a.json",
        images=[{"id": 5.0, "file_name": "a.jpg", "width": 100.0, "height": 50.0}],
        annotations=[{"image_id": 5.0, "category_id": 7, "bbox": [10, 20, 30, 5], "iscrowd": True}],
    )
    (tmp_path / "a.json").write_text("\ufeff" + (tmp_path / "a.json").read_text())
    assert coco.read(tmp_path).splits["train"][0].crowd.tolist() == [True]


def test_one_picture_in_two_files_of_a_split_is_refused(picture: Write, tmp_path: Path) -> None:
    picture("val2017/a.jpg")
    for name in ("instances", "person_keypoints"):
        annotated(tmp_path / f"annotations/{name}_val2017.json")
    with pytest.raises(
        DatasetError, match=r"keypoints_val2017.json: has a.jpg, as .*instances_val2017.json has"
    ):
        coco.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "there", "found"),
    [
        ("a.jpg", ["pool/a.jpg"], "pool/a.jpg"),
        ("a.jpg", ["val/a.jpg"], "val/a.jpg"),
        ("train/a.jpg", ["val/a.jpg", "train/b.jpg"], None),
        ("a.jpg", ["val/a.jpg", "train/b.jpg"], None),
        ("images/a.jpg", ["pictures/a.jpg"], "pictures/a.jpg"),
    ],
)
def test_a_picture_of_another_split_takes_no_missing_ones_place(
    picture: Write, tmp_path: Path, name: str, there: list[str], found: str | None
) -> None:
    for file in there:
        picture(file)
    annotated(tmp_path / "train.json", name)
    if found:
        assert coco.read(tmp_path).splits["train"][0].file == tmp_path / found
    else:
        with pytest.raises(
            DatasetError, match=f"names {name}, which is nowhere in .* but for another: .*val/a"
        ):
            coco.read(tmp_path)

"""VOC's XML counts pixels from 1 and includes both ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vaka.data.dataset import DatasetError
from vaka.data.detection import voc

Write = Callable[..., Path]
XML = """<annotation><filename>{name}.jpg</filename><size><width>100</width><height>50</height></size>
<object><name>{kind}</name><bndbox><xmin>{left}</xmin><ymin>1</ymin><xmax>100</xmax><ymax>50</ymax></bndbox>
</object></annotation>"""


def annotated(folder: Path, name: str, kind: str = "cat", left: str = "1") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.xml").write_text(XML.format(name=name, kind=kind, left=left))


def test_a_box_of_the_whole_picture_is_the_whole_picture(picture: Write, tmp_path: Path) -> None:
    picture("JPEGImages/a.jpg")
    annotated(tmp_path / "Annotations", "a")
    parts = voc.read(tmp_path)
    assert parts.classes == ("cat",)
    assert parts.splits["train"][0].boxes.tolist() == [[0, 0, 100, 50]]


def test_lists_say_which_picture_is_of_which_split(picture: Write, tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    for name, split in (("a", "train"), ("b", "val"), ("c", "other")):
        picture(f"JPEGImages/{name}.jpg")
        annotated(tmp_path / "Annotations", name, f"kind {name}")
        (lists / f"{split}.txt").write_text(f"{name}\n")
    parts = voc.read(tmp_path)
    assert {split: [p.file.stem for p in found] for split, found in parts.splits.items()} == {
        "train": ["a"],
        "validation": ["b"],
    }
    assert parts.notes == ("annotations in no list are left out: 1, such as of c",)


def test_lists_may_have_both_parts_in_one_and_endings(picture: Write, tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    for name in "abc":
        picture(f"JPEGImages/{name}.jpg")
        annotated(tmp_path / "Annotations", name)
    (lists / "trainval.txt").write_text("a.jpg\nb.jpg\n")
    (lists / "val.txt").write_text("b.jpg\n")
    (lists / "test.txt").write_text("c.jpg\nd.jpg\n")
    parts = voc.read(tmp_path)
    assert {split: [p.file.stem for p in found] for split, found in parts.splits.items()} == {
        "train": ["a"],
        "validation": ["b"],
        "test": ["c"],
    }
    assert parts.notes == ("listed pictures without annotation are left out: 1, such as d",)


def test_pictures_are_found_wherever_they_lie(picture: Write, tmp_path: Path) -> None:
    for name in ("train/a", "b"):
        picture(f"{name}.jpg")
        annotated(tmp_path / "Annotations", Path(name).name)
    assert len(voc.read(tmp_path).splits["train"]) == 2


def test_folders_say_it_where_there_are_no_lists(picture: Write, tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(f"{split}/a.jpg")
        annotated(tmp_path / split, "a")
    assert set(voc.read(tmp_path).splits) == {"train", "test"}


@pytest.mark.parametrize(
    ("kind", "left", "complaint"),
    [
        ("", "1", "has <object> without name"),
        ("cat", "one", "bndbox/xmin is 'one': it must be a number"),
        ("cat", "nan", "bndbox/xmin is 'nan': it must be a number"),
    ],
)
def test_what_is_wrong_is_named(picture: Write, tmp_path: Path, kind: str, left: str, complaint: str) -> None:
    picture("a.jpg")
    annotated(tmp_path, "a", kind, left)
    with pytest.raises(DatasetError, match=complaint):
        voc.read(tmp_path)


def test_broken_xml_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotation>")
    with pytest.raises(DatasetError, match=r"a.xml: is no XML"):
        voc.read(tmp_path)

"""Pascal VOC's XML (Everingham et al. 2010): a file for each picture, pixels counted from 1, both ends in."""

from collections.abc import Iterator
from contextlib import suppress
from math import isfinite, nan
from pathlib import Path
from xml.etree import ElementTree

from vaka.data.dataset import DatasetError, Split
from vaka.data.detection.boxes import Boxes
from vaka.data.detection.dataset import Parts, Picture
from vaka.data.detection.layout import PictureFiles, split_of, visible
from vaka.data.folders import SPLITS
from vaka.data.pictures import SUFFIXES

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_LISTS: dict[str, Split] = {"trainval": "train", **SPLITS}
"""Lists of pictures by their files' names; what a later one says counts."""


def annotation_files(root: Path) -> list[Path]:
    """XML files whose root element is `annotation`."""
    return list(_annotations(root))


def read(root: Path) -> Parts:
    """All splits: of ImageSets/Main where there is such a folder, else by the folders' names."""
    parsed = _annotations(root)
    if not parsed:
        for file in visible(root, (".xml",)):
            _parse(file)  # says what is wrong with it
        raise DatasetError(root, "has no VOC annotations: XML files of <annotation>, one for each picture")
    listed = _listed(root)
    names = (_text(each, "name", file) for file, tree in parsed.items() for each in tree.iter("object"))
    classes = tuple(sorted(set(names)))
    pictures, boxes = PictureFiles(root), Boxes()
    splits: dict[Split, list[Picture]] = {}
    for file, tree in parsed.items():
        told = listed.get(file.stem) if listed else split_of(file.parent, root)
        if told or not listed:
            splits.setdefault(told or "train", []).append(
                _picture(file, tree, told, classes, pictures, boxes)
            )
    return Parts(splits, classes, notes=(*boxes.notes, *_unlisted(listed, {file.stem for file in parsed})))


def _annotations(root: Path) -> dict[Path, ElementTree.Element]:
    """What the XML files hold that are annotations."""
    found = {}
    for file in visible(root, (".xml",)):
        with suppress(DatasetError):  # some other file, and broken
            if (tree := _parse(file)).tag == "annotation":
                found[file] = tree
    return found


def _listed(root: Path) -> dict[str, Split]:
    """The split of each picture by the name that the lists of ImageSets/Main have."""
    texts = visible(root, (".txt",))
    lists = {file.stem: file for file in texts if file.parts[-3:-1] == ("ImageSets", "Main")}
    return {
        _stem(line.split()[0]): split
        for name, split in _LISTS.items()
        if name in lists
        for line in lists[name].read_text().splitlines()
        if line.strip()
    }


def _stem(name: str) -> str:
    """A picture's name as lists have it, or with the file's ending, as some write it."""
    return Path(name).stem if Path(name).suffix.lower() in (*SUFFIXES, ".xml") else name


def _unlisted(listed: dict[str, Split], annotated: set[str]) -> Iterator[str]:
    """What a person should know of the lists."""
    if listed and (unknown := annotated - set(listed)):
        yield f"annotations in no list are left out: {len(unknown):,}, such as of {min(unknown)}"
    if missing := set(listed) - annotated:
        yield f"listed pictures without annotation are left out: {len(missing):,}, such as {min(missing)}"


def _parse(file: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DatasetError(file, f"is no XML: {error}") from error


def _text(element: ElementTree.Element, path: str, file: Path) -> str:
    found = (element.findtext(path) or "").strip()
    if not found:
        raise DatasetError(file, f"has <{element.tag}> without {path}")
    return found


def _number(element: ElementTree.Element, path: str, file: Path) -> float:
    text = _text(element, path, file)
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise DatasetError(file, f"{path} is {text!r}: it must be a number")
    return number


def _picture(
    file: Path,
    tree: ElementTree.Element,
    split: Split | None,
    classes: tuple[str, ...],
    pictures: PictureFiles,
    boxes: Boxes,
) -> Picture:
    objects = list(tree.iter("object"))
    corners = [[_number(each, f"bndbox/{name}", file) for name in _CORNERS] for each in objects]
    size = tree.find("size")
    told = (
        tuple(int(_number(size, side, file)) for side in ("width", "height")) if size is not None else (0, 0)
    )
    return boxes.picture(
        pictures.find(_text(tree, "filename", file), file, split),
        file,
        [(left - 1, top - 1, right, bottom) for left, top, right, bottom in corners],
        [classes.index(_text(each, "name", file)) for each in objects],
        size=(told[0], told[1]) if all(told) else None,
    )

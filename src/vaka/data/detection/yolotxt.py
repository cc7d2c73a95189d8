"""YOLO's text files: for each picture `labels/….txt` with lines of class, centre x and y, width, height.

All four are parts of the picture's size. A picture without such a file, or with an empty one, has no object.
"""

from pathlib import Path
from typing import Any

import yaml

from vaka.data.dataset import DatasetError, Split
from vaka.data.detection.boxes import Boxes
from vaka.data.detection.dataset import Parts, Picture
from vaka.data.detection.layout import split_of, visible
from vaka.data.idx import read_labels
from vaka.data.pictures import SUFFIXES

_NAMES = ("classes.txt", "labels.txt", "obj.names")


def label_files(root: Path) -> list[Path]:
    """Text files that lie in a folder `labels`, or beside a picture of the same name."""
    stems = {picture.with_suffix("") for picture in visible(root, SUFFIXES)}
    texts = visible(root, (".txt",))
    return [t for t in texts if "labels" in t.relative_to(root).parts[:-1] or t.with_suffix("") in stems]


def read(root: Path) -> Parts:
    """Every split that a folder of pictures names."""
    if not label_files(root):
        raise DatasetError(root, "has no YOLO labels: text files in a folder labels/ beside images/")
    names = _names(root)
    boxes = Boxes()
    splits: dict[Split, list[Picture]] = {}
    for picture in visible(root, SUFFIXES):
        split = split_of(picture.parent, root) or "train"
        said = _label_file(picture, root)
        rows = _rows(said, len(names)) if said.exists() else []
        corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for _, x, y, w, h in rows]
        classes = [int(row[0]) for row in rows]
        splits.setdefault(split, []).append(boxes.picture(picture, said, corners, classes, relative=True))
    most = max((int(p.classes.max()) for ps in splits.values() for p in ps if len(p.classes)), default=0)
    return Parts(splits, names or tuple(map(str, range(most + 1))), named=bool(names), notes=boxes.notes)


def _label_file(picture: Path, root: Path) -> Path:
    """`images` in its path becomes `labels`; where there is no such folder, the text lies beside it."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts)


def _rows(file: Path, classes: int) -> list[tuple[float, ...]]:
    rows = []
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if words := line.split():
            rows.append(_row(words, f"line {number}", file, classes))
    return rows


def _row(words: list[str], where: str, file: Path, classes: int) -> tuple[float, ...]:
    try:
        values = tuple(map(float, words))
    except ValueError:
        values = ()
    if len(values) != 5:
        told = " ".join(words)[:60]
        raise DatasetError(file, f"{where} is {told!r}: expected are 5 numbers, class x y width height")
    if not values[0].is_integer() or values[0] < 0 or (classes and values[0] >= classes):
        allowed = f"0 to {classes - 1}" if classes else "whole numbers from 0"
        raise DatasetError(file, f"{where} has class {words[0]}: known are {allowed}")
    if max(values[1:]) > 2:
        raise DatasetError(
            file, f"{where} has {max(values[1:]):g}: values are parts of the picture's size, 0..1"
        )
    return values


def _names(root: Path) -> tuple[str, ...]:
    """Class names of a YAML file's `names`, or of a text file with one a line."""
    for file in visible(root, (".yaml", ".yml")):
        if names := _named(file):
            return names
    for name in _NAMES:
        if names := read_labels(root / name):
            return names
    return ()


def _named(file: Path) -> tuple[str, ...]:
    try:
        content: Any = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(file, f"cannot be read: {error}") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DatasetError(file, f"names has the keys {sorted(names)}: they must be 0, 1, 2 and so on")
        names = [names[i] for i in range(len(names))]
    return tuple(map(str, names)) if isinstance(names, list) else ()

"""YOLO's text files: for each picture `labels/….txt` with lines of class, centre x and y, width, height.

All four are parts of the picture's size. A picture without such a file, or with an empty one, has no object.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vaka.data.dataset import DatasetError, Split
from vaka.data.detection.boxes import Boxes
from vaka.data.detection.dataset import Parts, Picture
from vaka.data.detection.layout import split_of, visible
from vaka.data.folders import SPLITS
from vaka.data.idx import read_labels
from vaka.data.pictures import SUFFIXES

_NAMES = ("classes.txt", "labels.txt", "obj.names")
_MOST = 10_000
"""Classes without names: a higher number is a mistake, such as that of another column."""


def label_files(root: Path) -> list[Path]:
    """Text files that lie in a folder `labels`, or beside a picture of the same name."""
    stems = {picture.with_suffix("") for picture in visible(root, SUFFIXES)}
    texts = [text for text in visible(root, (".txt",)) if text.name not in _NAMES]
    return [t for t in texts if "labels" in t.relative_to(root).parts[:-1] or t.with_suffix("") in stems]


def read(root: Path) -> Parts:
    """Every split that a folder of pictures names."""
    labels = label_files(root)
    if not labels:
        raise DatasetError(root, "has no YOLO labels: text files in a folder labels/ beside images/")
    names, folders = _described(root)
    boxes = Boxes()
    splits: dict[Split, list[Picture]] = {}
    orphans = dict.fromkeys(labels)
    for picture in visible(root, SUFFIXES):
        split = _split(picture, folders) or split_of(picture.parent, root) or "train"
        said = _label_file(picture, root)
        orphans.pop(said, None)
        rows = _rows(said, len(names)) if said.exists() else []
        corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for _, x, y, w, h in rows]
        classes = [int(row[0]) for row in rows]
        splits.setdefault(split, []).append(boxes.picture(picture, said, corners, classes, relative=True))
    most = max((int(p.classes.max()) for ps in splits.values() for p in ps if len(p.classes)), default=0)
    numbers = tuple(map(str, range(most + 1)))
    notes = (*boxes.notes, *_notes(list(orphans), "" if names else f"0 to {most}"))
    return Parts(splits, names or numbers, named=bool(names), notes=notes)


def _split(picture: Path, folders: dict[Path, Split]) -> Split | None:
    if not folders:
        return None
    return next((folders[folder] for folder in picture.resolve().parents if folder in folders), None)


def _notes(orphans: list[Path], numbers: str) -> Iterator[str]:
    if numbers:
        yield f"classes have no names, and are {numbers}: a YAML file or classes.txt gives them some"
    if orphans:
        files = "1 label file has" if len(orphans) == 1 else f"{len(orphans):,} label files have"
        yield f"{files} no picture, left out; first {orphans[0]}"


def _label_file(picture: Path, root: Path) -> Path:
    """`images` in its path becomes `labels`; where there is no such folder, the text lies beside it."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts)


def _rows(file: Path, classes: int) -> list[tuple[float, ...]]:
    rows = []
    for number, line in enumerate(file.read_text("utf-8-sig", errors="replace").splitlines(), 1):
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
    most = (classes or _MOST) - 1
    if not values[0].is_integer() or not 0 <= values[0] <= most:
        allowed = f"0 to {most}" if classes else f"whole numbers from 0 to {most}"
        raise DatasetError(file, f"{where} has class {words[0]}: known are {allowed}")
    if max(values[1:]) > 2:
        raise DatasetError(
            file, f"{where} has {max(values[1:]):g}: values are parts of the picture's size, 0..1"
        )
    return values


def _described(root: Path) -> tuple[tuple[str, ...], dict[Path, Split]]:
    """Names of the classes and folders of the splits: of a YAML file, or names of lists beside pictures."""
    for file in visible(root, (".yaml", ".yml")):
        content = _yaml(file)
        if names := _named(content.get("names"), file):
            return names, _folders(content, file, root)
    return _listed(root), {}


def _yaml(file: Path) -> dict[str, Any]:
    """All values as texts: a class may be called `yes` or `1`."""
    try:
        content = yaml.load(file.read_text("utf-8-sig"), yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DatasetError(file, f"cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


def _named(names: Any, file: Path) -> tuple[str, ...]:
    if isinstance(names, dict):
        if set(names) != set(map(str, range(len(names)))):
            raise DatasetError(file, f"names has the keys {', '.join(names)}: they must be 0, 1, 2 and so on")
        names = [names[str(i)] for i in range(len(names))]
    names = names or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DatasetError(file, "names must be a list of texts, or have one for each of 0, 1, 2 and so on")
    if len(set(names)) < len(names):
        raise DatasetError(file, "names a class twice")
    return tuple(names)


def _folders(content: dict[str, Any], file: Path, root: Path) -> dict[Path, Split]:
    """The folders of `train`, `val` and `test`, relative to `path` or to the YAML file, or beside it."""
    folders: dict[Path, Split] = {}
    for split in ("train", "val", "test"):
        told = content.get(split) or []
        for one in map(str, told if isinstance(told, list) else [told]):
            places = (Path(content.get("path") or "", one), Path(one), Path(one.removeprefix("../")))
            for folder in ((file.parent / place).resolve() for place in places):
                if folder.is_dir() and root.resolve() in folder.parents:
                    folders.setdefault(folder, SPLITS[split])
                    break
    return folders


def _listed(root: Path) -> tuple[str, ...]:
    """Names of a text file with one a line; tools write it beside the labels of each split."""
    found = {file: read_labels(file) for file in visible(root, (".txt", ".names")) if file.name in _NAMES}
    told = {file: names for file, names in found.items() if names}
    for file, names in told.items():
        first = next(iter(told))
        if names != told[first]:
            raise DatasetError(file, f"names {', '.join(names)}: {first} has {', '.join(told[first])}")
    return next(iter(told.values()), ())

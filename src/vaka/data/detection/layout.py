"""Where pictures lie, and what split a file or folder is of."""

import re
from collections import defaultdict
from pathlib import Path

from vaka.data.dataset import DatasetError, Split
from vaka.data.pictures import SUFFIXES

WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def split_of(path: Path, root: Path) -> Split | None:
    """The split that a path below the root names, in its file's name or a folder's; None where none does."""
    for part in reversed(path.relative_to(root).parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in WORDS:
                return WORDS[word]
    return None


def visible(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """All files below the root with one of the endings, hidden ones left out, in order."""
    found = (path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(p for p in found if not any(part.startswith((".", "__MACOSX")) for part in _parts(p, root)))


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts


class PictureFiles:
    """The image files below a folder, found by the names that annotations give them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for file in visible(root, SUFFIXES):
            self._by_name[file.name].append(file)

    def find(self, name: str, said: Path, split: Split | None) -> Path:
        """The file of that name: beside `said`, else of its split, else the only one of that name."""
        path = Path(name.replace("\\", "/"))
        found = self._by_name.get(path.name, [])
        beside = [file for file in found if file == said.parent / path]
        same = [file for file in found if split and split_of(file.parent, self._root) == split]
        for chosen in (beside, same, found):
            if len(chosen) == 1:
                return chosen[0]
        if not found:
            raise DatasetError(said, f"names {name}, which is nowhere in {self._root}")
        tail = [file for file in same or found if file.parts[-len(path.parts) :] == path.parts]
        if len(tail) == 1:
            return tail[0]
        raise DatasetError(said, f"names {name}, which may be {found[0]} or {found[1]}")

"""Where pictures lie, and what split a file or folder is of."""

import re
from collections import defaultdict
from pathlib import Path

from vaka.data.dataset import DatasetError, Split
from vaka.data.folders import SPLITS, is_visible
from vaka.data.pictures import SUFFIXES


def split_of(path: Path, root: Path) -> Split | None:
    """The split that a path below the root names, in its file's name or a folder's; None where none does."""
    for part in reversed(path.relative_to(root).parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return None


def visible(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """All files below the root with one of the endings, hidden ones left out, in order."""
    found = (path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(path for path in found if is_visible(path, root))


class PictureFiles:
    """The image files below a folder, found by the names that annotations give them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._splits: dict[Path, Split | None] = {}
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for file in visible(root, SUFFIXES):
            self._by_name[file.name].append(file)
            self._splits[file] = split_of(file.parent, root)
        self._told = set(self._splits.values())

    def find(self, name: str, said: Path, split: Split | None) -> Path:
        """The file of that name: beside `said`, else of its split, else the only one of that name.

        Args:
            split: as people told it. Where it has pictures, those of another are none of its own.
        """
        path = Path(name.replace("\\", "/"))
        found = self._by_name.get(path.name, [])
        beside = [file for file in found if file == said.parent / path]
        same = [file for file in found if split and self._splits[file] == split]
        tail = [file for file in found if file.parts[-len(path.parts) :] == path.parts]
        mine = [file for file in found if not split or self._splits[file] in (None, split)]
        if split and split not in self._told:
            mine = tail or mine
        for chosen in (beside, same, mine):
            if len(chosen) == 1:
                return chosen[0]
        if not mine:
            raise DatasetError(said, f"names {name}, which is nowhere in {self._root}{_but(found)}")
        exact = [file for file in tail if file in (same or mine)]
        if len(exact) == 1:
            return exact[0]
        raise DatasetError(said, f"names {name}, which may be {mine[0]} or {mine[1]}")


def _but(found: list[Path]) -> str:
    return f" for this split, but for another: {found[0]}" if found else ""

"""What the names of files and folders say of data."""

from pathlib import Path

from vaka.data.dataset import Split

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""The names that people give to splits, in small letters."""


def is_visible(path: Path, folder: Path) -> bool:
    """Whether neither it nor what it lies in, below the folder, is what systems and tools put there."""
    return not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)

"""The one way in: what lies in a folder or archive, as images."""

from pathlib import Path

from vaka.data import archive, idx
from vaka.data.dataset import Dataset, DatasetError, ImageShape, Parts, divide

FORMATS = ("auto", "idx", "imagefolder")


def load(
    source: Path,
    *,
    format: str = "auto",  # noqa: A002  (the field's name in the specification)
    validation_fraction: float = 0.1,
    seed: int = 0,
    scratch: Path,
) -> Dataset:
    """Training and validation images of a folder or archive (unpacked into `scratch`).

    DatasetError names the file that is wrong, and why.
    """
    parts = read(source, format=format, scratch=scratch)
    return divide(parts, source, validation_fraction=validation_fraction, seed=seed)


def read(
    source: Path,
    *,
    format: str = "auto",  # noqa: A002
    shape: ImageShape | None = None,
    scratch: Path,
) -> Parts:
    """Every split that the folder or archive holds, of this shape where one is given."""
    if format not in FORMATS:
        raise DatasetError(source, f"cannot be read as {format}: known formats are {', '.join(FORMATS)}")
    folder = source if source.is_dir() else archive.unpack(source, scratch)
    if format == "idx" or (format == "auto" and idx.is_idx(folder)):
        return _of_shape(idx.read(folder), shape, folder)
    from vaka.data import imagefolder  # Pillow is not needed for IDX files

    return imagefolder.read(folder, shape)


def _of_shape(parts: Parts, shape: ImageShape | None, folder: Path) -> Parts:
    found = next(iter(parts.splits.values())).shape
    if shape and found != shape:
        raise DatasetError(folder, f"has images of {found}: the model takes {shape}")
    return parts

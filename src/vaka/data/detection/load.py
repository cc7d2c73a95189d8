"""The one way in: what lies in a folder or archive, as pictures with boxes."""

from collections.abc import Callable
from pathlib import Path

from vaka.data import archive
from vaka.data.dataset import DatasetError
from vaka.data.detection import coco, voc, yolotxt
from vaka.data.detection.dataset import Parts
from vaka.data.detection.layout import visible

READERS: dict[str, tuple[Callable[[Path], list[Path]], Callable[[Path], Parts]]] = {
    "coco": (coco.annotation_files, coco.read),
    "voc": (voc.annotation_files, voc.read),
    "yolo": (yolotxt.label_files, yolotxt.read),
}
"""How each format is known, and read."""


def read(source: Path, *, format: str, scratch: Path) -> Parts:  # noqa: A002  (the field's name)
    """Every split of a folder or archive (unpacked into `scratch`); DatasetError names the wrong file."""
    known = ("auto", *READERS)
    if format not in known:
        raise DatasetError(source, f"cannot be read as {format}: known formats are {', '.join(known)}")
    root = source if source.is_dir() else archive.unpack(source, scratch)
    for name, (files, reader) in READERS.items():
        if format == name or (format == "auto" and files(root)):
            return reader(root)
    for ending, reader in ((".json", coco.read), (".xml", voc.read)):
        if visible(root, (ending,)):
            reader(root)  # says what is wrong with them
    raise DatasetError(root, "has no boxes: neither COCO's JSON, nor VOC's XML, nor YOLO's text files")

"""COCO's JSON (cocodataset.org, "Data format"): a file for each split, boxes as left, top, width, height."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from vaka.data.dataset import DatasetError, Split
from vaka.data.detection.boxes import Boxes
from vaka.data.detection.dataset import Parts, Picture
from vaka.data.detection.layout import PictureFiles, split_of, visible

T = TypeVar("T")


class _Outline(msgspec.Struct):
    images: msgspec.Raw = msgspec.Raw()
    annotations: msgspec.Raw = msgspec.Raw()
    categories: msgspec.Raw = msgspec.Raw()


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int | None = None
    height: int | None = None


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: Annotated[list[float], Meta(min_length=4, max_length=4)]
    iscrowd: int = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Content(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def annotation_files(root: Path) -> list[Path]:
    """JSON files with images, annotations and categories."""
    return [file for file in visible(root, (".json",)) if _is_coco(file)]


def read(root: Path) -> Parts:
    """Every split that has a JSON file below the root."""
    files = annotation_files(root)
    if not files:
        raise DatasetError(root, "has no COCO annotations: a JSON file with images, annotations, categories")
    contents = {file: _parse(file, file.read_bytes(), _Content) for file in files}
    classes = _classes(contents)
    pictures, boxes = PictureFiles(root), Boxes()
    splits: dict[Split, list[Picture]] = {}
    for file, content in contents.items():
        split = split_of(file, root) or ("train" if len(files) == 1 else None)
        if split is None:
            raise DatasetError(file, "may be of any split: put train, val or test into its name")
        found = {image.id: pictures.find(image.file_name, file, split) for image in content.images}
        splits.setdefault(split, []).extend(_pictures(file, content, found, classes, boxes))
    return Parts(splits, classes, notes=boxes.notes)


def _is_coco(file: Path) -> bool:
    outline = _parse(file, file.read_bytes(), _Outline)
    return all(map(bytes, (outline.images, outline.annotations, outline.categories)))


def _parse(file: Path, content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise DatasetError(file, f"is no COCO annotation file: {error}") from error


def _classes(contents: dict[Path, _Content]) -> tuple[str, ...]:
    """All names, in the order of their numbers in the first file that has them."""
    names: dict[str, None] = {}
    for content in contents.values():
        names |= dict.fromkeys(c.name for c in sorted(content.categories, key=lambda c: c.id))
    return tuple(names)


def _pictures(
    file: Path, content: _Content, found: dict[int, Path], classes: tuple[str, ...], boxes: Boxes
) -> list[Picture]:
    place = {category.id: classes.index(category.name) for category in content.categories}
    by_image: dict[int, list[_Annotation]] = defaultdict(list)
    for number, annotation in enumerate(content.annotations):
        for field, known in (("image_id", found), ("category_id", place)):
            if (value := getattr(annotation, field)) not in known:
                raise DatasetError(
                    file, f"annotations[{number}].{field} is {value}: there is none of this id"
                )
        by_image[annotation.image_id].append(annotation)
    return [
        _picture(file, image, found[image.id], by_image[image.id], place, boxes) for image in content.images
    ]


def _picture(
    said: Path,
    image: _Image,
    file: Path,
    annotations: list[_Annotation],
    place: dict[int, int],
    boxes: Boxes,
) -> Picture:
    corners = [(x, y, x + width, y + height) for x, y, width, height in (a.bbox for a in annotations)]
    return boxes.picture(
        file,
        said,
        corners,
        [place[a.category_id] for a in annotations],
        crowd=[bool(a.iscrowd) for a in annotations],
        size=(image.width, image.height) if image.width and image.height else None,
    )

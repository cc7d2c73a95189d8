"""COCO's JSON (cocodataset.org, "Data format"): a file for each split, boxes as left, top, width, height."""

from codecs import BOM_UTF8
from collections import defaultdict
from collections.abc import Sequence
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
    iscrowd: bool = False


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
        for file in visible(root, (".json",)):
            _parse(file, _Outline)  # says what is wrong with it
        raise DatasetError(root, "has no COCO annotations: a JSON file with images, annotations, categories")
    contents = {file: _parse(file, _Content) for file in files}
    classes = _classes(contents)
    pictures, boxes = PictureFiles(root), Boxes()
    splits: dict[Split, list[Picture]] = {}
    told: dict[tuple[Split, Path], Path] = {}
    for file, content in contents.items():
        named = split_of(file, root)
        split = named or ("train" if len(files) == 1 else None)
        if split is None:
            raise DatasetError(file, "may be of any split: put train, val or test into its name")
        _check_ids(file, content)
        found = {image.id: pictures.find(image.file_name, file, named) for image in content.images}
        for picture in found.values():
            if (other := told.setdefault((split, picture), file)) != file:
                raise DatasetError(file, f"has {picture.name}, as {other} has: its objects must be in one")
        splits.setdefault(split, []).extend(_pictures(file, content, found, classes, boxes))
    return Parts(splits, classes, notes=boxes.notes)


def _is_coco(file: Path) -> bool:
    try:
        outline = _parse(file, _Outline)
    except DatasetError:
        return False  # JSON of anything else
    return all(map(bytes, (outline.images, outline.annotations, outline.categories)))


def _parse(file: Path, kind: type[T]) -> T:
    content = file.read_bytes().removeprefix(BOM_UTF8)
    try:
        return msgspec.json.decode(content, type=kind, strict=False)  # pandas writes whole numbers as 1.0
    except msgspec.DecodeError as error:
        raise DatasetError(file, f"is no COCO annotation file: {error}") from error


def _check_ids(file: Path, content: _Content) -> None:
    """DatasetError where what must be unique is not, such as in files that were put together."""
    unique: dict[str, Sequence[int | str]] = {
        "images[{}].id": [image.id for image in content.images],
        "images[{}].file_name": [image.file_name for image in content.images],
        "categories[{}].id": [category.id for category in content.categories],
    }
    for field, values in unique.items():
        first: dict[int | str, int] = {}
        for number, value in enumerate(values):
            if (other := first.setdefault(value, number)) != number:
                raise DatasetError(file, f"{field.format(number)} is {value}: {field.format(other)} is, too")


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
        crowd=[a.iscrowd for a in annotations],
        size=(image.width, image.height) if image.width and image.height else None,
    )

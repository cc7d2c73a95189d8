"""Images as people send them to what the graph takes: float32 [C, H, W] of raw values 0..255."""

import base64
import binascii
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import ImageInput
from vaka.artifacts.tensors import Array, from_json

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

MAX_PIXELS = 32_000_000
"""What an encoded image may unpack to: a small file can hold a huge picture."""
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def decode(instance: Any, image: ImageInput, where: str) -> Array:
    """One instance: nested lists in an accepted layout, or a PNG or JPEG as bytes or {"b64": base64}."""
    if isinstance(instance, bytes):
        return from_file(instance, image, where)
    if isinstance(instance, dict):
        return from_file(unpacked(instance, where), image, where)
    pixels: Array = _laid_out(from_json(instance, "FP32", where)[None], image, where)[0]
    return pixels


def from_numbers(rows: Array, image: ImageInput, where: str) -> Array:
    """Instances [n, ...] of one layout to what the graph takes: float32 [n, C, H, W]."""
    return _laid_out(rows, image, f"{where}[0]")


def check_range(rows: Array, where: str) -> None:
    """BadInput unless every value of images [n, ...] is one that a pixel can have."""
    if rows.min() >= 0 and rows.max() <= 255:  # NaN is neither; a mask of all would take longer
        return
    flat = rows.reshape(len(rows), -1)
    worst = int((~((flat >= 0) & (flat <= 255))).any(1).argmax())
    found = f"{flat[worst].min():g}..{flat[worst].max():g}"
    raise BadInput(f"{where}[{worst}]: pixels are 0..255, here {found}")


def from_file(content: bytes, image: ImageInput, where: str) -> Array:
    """A PNG or JPEG file, upright and stretched to the size of the model."""
    from vaka.data.dataset import ImageShape
    from vaka.data.pictures import decode as decode_picture

    shape = ImageShape(image.channels, image.height, image.width)
    return _read(content, where, lambda file: decode_picture(file, shape)).astype(np.float32)


def picture(content: bytes, where: str) -> "Image.Image":
    """A PNG or JPEG file, upright and RGB, in its own size."""
    from vaka.data.pictures import opened

    return _read(content, where, lambda file: opened(file, 3))


def _read(content: bytes, where: str, decoded: Callable[[BytesIO], T]) -> T:
    """What is decoded of a file; BadInput where it is none, damaged, or too large."""
    from vaka.data.pictures import PictureError

    if not content.startswith(_MAGIC):
        raise BadInput(f"{where}: this is neither PNG nor JPEG")
    _check_size(content, where)
    try:
        return decoded(BytesIO(content))
    except PictureError as error:
        raise BadInput(f"{where}: the image {error}") from error


def _check_size(content: bytes, where: str) -> None:
    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as picture:
            width, height = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadInput(f"{where}: {error}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput(f"{where}: the image cannot be read: its header is damaged") from error
    if width * height > MAX_PIXELS:
        raise BadInput(f"{where}: {width}x{height} pixels, at most {MAX_PIXELS / 1e6:.0f} million are read")


def unpacked(instance: dict[str, Any], where: str) -> bytes:
    """The file in {"b64": base64}."""
    text = instance.get("b64")
    if instance.keys() != {"b64"} or not isinstance(text, str):
        raise BadInput(f'{where}: an object must be {{"b64": "..."}}, a PNG or JPEG in base64')
    return from_base64(text, f"{where}: b64")


def from_base64(text: str, where: str) -> bytes:
    """What is written in base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"{where} is not base64: {error}") from None


def _laid_out(rows: Array, image: ImageInput, where: str) -> Array:
    """Images [n, ...] as [n, C, H, W]; `where` is the first of them."""
    n, h, w, c = len(rows), image.height, image.width, image.channels
    shape = rows.shape[1:]
    if (shape == (h, w) and c == 1) or shape in ((h, w, c), (h * w * c,)):
        return np.ascontiguousarray(rows.reshape(n, h, w, c).transpose(0, 3, 1, 2))
    if shape == (c, h, w):
        return rows
    grey = f"[{h}, {w}], " if c == 1 else ""
    allowed = f"{grey}[{h}, {w}, {c}], [{c}, {h}, {w}] or flat [{h * w * c}]"
    raise BadInput(f"{where} has shape {list(shape)}, the model takes {allowed}")

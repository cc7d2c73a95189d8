"""Image files to arrays."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from vaka.data.dataset import ImageShape

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".avif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
)
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "F")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture of each Exif orientation upright; from 5 on that swaps width and height."""
_ON_ITS_SIDE = 5


_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
    Image.DecompressionBombError,
)
"""What decoders raise where a file is not as it should be."""


class PictureError(Exception):
    """This is no readable image; the message says why."""


def header(file: Path) -> ImageShape:
    """Size and channels (1 or 3) of an image file as it is seen."""
    with _explained(), Image.open(file) as image:
        width, height = _upright_size(image)
        return ImageShape(1 if image.mode in _GREY else 3, height, width)


def decode(file: Path | BinaryIO, shape: ImageShape) -> NDArray[np.uint8]:
    """Pixels uint8 [channels, h, w] of an image: upright, stretched to the shape, of its channels.

    PictureError where it is damaged.
    """
    upright = opened(file, shape.channels)
    if upright.size != (shape.width, shape.height):
        upright = upright.resize((shape.width, shape.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(upright)
    return pixels[None] if shape.channels == 1 else pixels.transpose(2, 0, 1)


def opened(file: Path | BinaryIO, channels: int) -> Image.Image:
    """An image, upright and grey or RGB, in its own size. PictureError where it is damaged."""
    with _explained(), Image.open(file) as image:
        turn, plain = _TURNS.get(_orientation(image)), _plain(image)
        upright = plain if turn is None else plain.transpose(turn)
        return upright.convert("L" if channels == 1 else "RGB")


def upright_size(file: Path | BinaryIO) -> tuple[int, int]:
    """Width and height of an image file as it is seen."""
    with _explained(), Image.open(file) as image:
        return _upright_size(image)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Without decoding it, except a PNG, which may have its Exif behind the pixels."""
    turned = _orientation(image) >= _ON_ITS_SIDE
    return (image.height, image.width) if turned else (image.width, image.height)


def _orientation(image: Image.Image) -> int:
    """What the file says of it, by Exif; 1 is upright. Pillow turns a TIFF itself, its size too."""
    told = 1 if image.format == "TIFF" else image.getexif().get(ExifTags.Base.Orientation)
    return told if told in _TURNS else 1


def _plain(image: Image.Image) -> Image.Image:
    """The image as one that a conversion leaves whole and Pillow does not warn of: 16-bit grey, of which it
    would cut everything above 255, as 8-bit, and a palette with clear colours as colours.
    """
    if image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):  # of these nothing says which value is white
        raise PictureError("has signed or 32-bit values: save it with 8 or 16 bits, without a sign")
    return image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image


@contextmanager
def _explained() -> Iterator[None]:
    """What the decoder raises, as a PictureError."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise PictureError("is no image of a known kind") from error
    except _DAMAGED as error:
        raise PictureError(f"cannot be read: {error}") from error

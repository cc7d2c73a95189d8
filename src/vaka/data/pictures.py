"""Image files to arrays."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vaka.data.dataset import ImageShape

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".avif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
)
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "F")


class PictureError(Exception):
    """This is no readable image; the message says why."""


def header(file: Path) -> ImageShape:
    """Size and channels (1 or 3) of an image file, without decoding it."""
    with _explained(), Image.open(file) as image:
        return ImageShape(1 if image.mode in _GREY else 3, image.height, image.width)


def decode(file: Path | BinaryIO, shape: ImageShape) -> NDArray[np.uint8]:
    """Pixels uint8 [channels, h, w] of an image: upright, stretched to the shape, of its channels.

    PictureError where it is damaged.
    """
    with _explained(), Image.open(file) as image:
        upright = ImageOps.exif_transpose(_eight_bit(image)).convert("L" if shape.channels == 1 else "RGB")
    if upright.size != (shape.width, shape.height):
        upright = upright.resize((shape.width, shape.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(upright)
    return pixels[None] if shape.channels == 1 else pixels.transpose(2, 0, 1)


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit: a plain conversion would cut everything above 255."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


@contextmanager
def _explained() -> Iterator[None]:
    """What the decoder raises, as a PictureError."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise PictureError("is no image of a known kind") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"cannot be read: {error}") from error

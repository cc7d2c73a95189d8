"""digit-scenes: composites, which a seeded script makes of real handwritten digits and nothing else.

Digits of the packaged set mnist at random places and of random size, some over others; a box is where a
digit has ink. The digits of the training scenes occur in no test scene. Annotated as COCO does.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from vaka.data.idx import read as read_idx
from vaka.data.packaged import mnist
from vaka.data.packaged.recipe import Recipe, Say, Unavailable, shuffled

SIDE = 128
COUNTS = {"train": 4_000, "test": 1_000}
TEST_DIGITS = 0.2
"""Part of the digits that only test scenes are made of."""
DIGITS = (1, 8)
"""How many a scene has, both included."""
SIZES = (14.0, 64.0)
"""The longer side of a digit, in pixels."""
OVERLAP = 0.35
"""Part of the smaller of two digits' boxes that the other covers at most: what lies within another is hard
to tell, even for people."""
INK = 32
"""Grey value from which on a pixel counts as ink."""
BACKGROUND = 48
"""Grey value that a scene's background stays below."""
_TRIES = 30

Pixels = NDArray[np.uint8]


class Digit(NamedTuple):
    """A digit as it lies in a scene."""

    pixels: Pixels
    left: int
    top: int
    value: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width, height, in pixels."""
        height, width = self.pixels.shape
        return self.left, self.top, width, height


def scene(glyphs: list[Pixels], values: NDArray[np.int64], seed: str) -> tuple[Pixels, list[Digit]]:
    """A scene uint8 [128, 128] of some of the glyphs, and the digits in it; the seed decides all."""
    # This generator's numbers are the same in every version of numpy.
    random = np.random.RandomState(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]))
    canvas = np.full((SIDE, SIDE), random.randint(BACKGROUND), np.uint8)
    digits: list[Digit] = []
    for _ in range(random.randint(DIGITS[0], DIGITS[1] + 1)):
        which = random.randint(len(glyphs))
        size = SIZES[0] * (SIZES[1] / SIZES[0]) ** random.random_sample()
        pixels = resized(glyphs[which], size)
        for _ in range(_TRIES):
            left, top = (random.randint(SIDE - length + 1) for length in pixels.shape[::-1])
            digit = Digit(pixels, left, top, int(values[which]))
            if all(covered(digit.box, other.box) <= OVERLAP for other in digits):
                digits.append(digit)
                break
    for digit in digits:
        left, top, width, height = digit.box
        under = canvas[top : top + height, left : left + width]
        np.maximum(under, digit.pixels, out=under)
    return canvas, digits


def cut(image: Pixels) -> Pixels:
    """The part of an image [28, 28] that has ink."""
    rows, columns = (np.nonzero((image >= INK).any(axis))[0] for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resized(glyph: Pixels, longer: float) -> Pixels:
    """The glyph with a longer side of about so many pixels, nothing stretched."""
    from PIL import Image

    scale = longer / max(glyph.shape)
    height, width = (max(1, round(length * scale)) for length in glyph.shape)
    return np.asarray(Image.fromarray(glyph).resize((width, height), Image.Resampling.BILINEAR))


def covered(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Part of the smaller of two boxes of left, top, width, height that the other covers."""
    width, height = (max(0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    return width * height / min(a[2] * a[3], b[2] * b[3])


def recipe() -> Recipe:
    """Scenes of as many different digits as there are here."""
    digits = mnist.recipe()
    return Recipe(
        f"2-{digits.version}",
        f"{COUNTS['train']:,} and {COUNTS['test']:,} scenes of 128 pixels, composed of {digits.summary}",
        _build,
    )


def _build(folder: Path, say: Say) -> dict[str, Any]:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise Unavailable("digit-scenes needs Pillow to write pictures: pip install pillow") from error
    source = folder / "digits"
    source.mkdir()
    info = mnist.recipe().build(source, say)
    say("digit-scenes: composing")
    images = read_idx(source).splits["train"]
    order = np.array(shuffled(len(images)))
    held_out = round(len(order) * TEST_DIGITS)
    for split, chosen in (("train", order[held_out:]), ("test", order[:held_out])):
        glyphs = [cut(pixels[0]) for pixels in images.pixels[chosen]]
        _write(folder, split, glyphs, images.labels[chosen])
    (source / "LICENSE.txt").rename(folder / "LICENSE.txt")
    for file in source.iterdir():
        file.unlink()
    source.rmdir()
    return info | {"origin": f"composites, made by Vaka of {info['origin']}", "counts": COUNTS}


def _write(folder: Path, split: str, glyphs: list[Pixels], values: NDArray[np.int64]) -> None:
    from PIL import Image

    (folder / split).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(COUNTS[split]):
        pixels, digits = scene(glyphs, values, f"{split} {number}")
        name = f"{number:06}.png"
        Image.fromarray(pixels).save(folder / split / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        annotations += list(_annotations(digits, number, len(annotations)))
    categories = [{"id": digit, "name": str(digit)} for digit in range(10)]
    annotated = {"images": images, "annotations": annotations, "categories": categories}
    (folder / split / "annotations.json").write_bytes(msgspec.json.encode(annotated))


def _annotations(digits: list[Digit], image: int, first: int) -> Iterator[dict[str, Any]]:
    for number, digit in enumerate(digits, first):
        left, top, width, height = digit.box
        yield {
            **{"id": number, "image_id": image, "category_id": digit.value, "iscrowd": 0},
            **{"bbox": [left, top, width, height], "area": width * height},
        }

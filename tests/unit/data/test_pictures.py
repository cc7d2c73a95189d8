"""Pictures are seen upright, whatever their files say and however they say it."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaka.data.pictures import PictureError, opened, upright_size

ORIENTATION = 0x112
STORED = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
"""Pixels as they lie in the file, all different."""
SEEN = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.T,
    6: STORED[::-1].T,
    7: STORED[::-1, ::-1].T,
    8: STORED[:, ::-1].T,
}
"""The same as they are to be seen (Exif 2.32, section 4.6.4)."""


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "16 bit"])
def test_it_is_turned_upright_in_every_format(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = tmp_path / "picture"
    if kind == "16 bit":
        Image.fromarray(STORED.astype(np.uint16) << 8).save(file, "png", exif=exif)
    elif kind == "tiff":
        Image.fromarray(STORED).convert("RGB").save(file, "tiff", exif=exif, compression="tiff_lzw")
    else:
        Image.fromarray(STORED).convert("RGB").save(file, kind, exif=exif, lossless=True)
    pixels = np.asarray(opened(file, 1))
    assert np.abs(pixels.astype(int) - SEEN[orientation]).max() <= 1
    assert upright_size(file) == pixels.T.shape


def test_what_else_its_exif_says_may_be_wrong() -> None:
    entries = struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0) + struct.pack("<HHI4s", 0xA005, 2, 3, b"ab")
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + bytes(4)
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=exif)
    assert opened(file, 3).size == upright_size(file) == (30, 40)


def test_a_file_of_another_kind_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(PictureError, match="is no image of a known kind"):
        opened(tmp_path / "a.png", 1)


@pytest.mark.parametrize("brightest", [0xFFFF, 0xFFF])
def test_a_pgm_of_16_bits_keeps_its_greys(brightest: int) -> None:
    """Whatever its brightest value is said to be: Pillow spreads it over 16 bits."""
    greys = np.array([[0, brightest // 2, brightest]], ">u2")
    file = io.BytesIO(b"P5 3 1 %d\n" % brightest + greys.tobytes())
    assert np.asarray(opened(file, 1)).tolist() == [[0, 127, 255]]


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.int16])
def test_values_of_which_none_is_known_to_be_white_are_refused(dtype: type, tmp_path: Path) -> None:
    Image.fromarray(STORED.astype(dtype)).save(tmp_path / "a.tif")
    with pytest.raises(PictureError, match="has signed or 32-bit values: save it with 8 or 16 bits"):
        opened(tmp_path / "a.tif", 1)

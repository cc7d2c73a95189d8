"""fashion-mnist: 70,000 real pictures of clothes, out of a Debian package (Xiao et al., arXiv:1708.07747)."""

import shutil
from pathlib import Path
from typing import Any

from vaka.data.packaged.recipe import Recipe, Say, checked, debian_package, downloads

_PACKAGE = "dataset-fashion-mnist"
_DIGESTS = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def _build(folder: Path, say: Say) -> dict[str, Any]:
    with downloads() as temporary:
        say("fashion-mnist: downloading (31 MB)")
        unpacked = debian_package(_PACKAGE, temporary)
        for name, digest in _DIGESTS.items():
            content = (unpacked / "usr/share/datasets/fashion-mnist" / name).read_bytes()
            (folder / name).write_bytes(
                checked(content, f"sha256:{digest}", f"{name} of Debian's {_PACKAGE}")
            )
        shutil.copyfile(unpacked / f"usr/share/doc/{_PACKAGE}/copyright", folder / "LICENSE.txt")
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    source = {"package": f"Debian {_PACKAGE}", "licence": "MIT", "origin": "Zalando Research, Fashion-MNIST"}
    return source | {"counts": {"train": 60_000, "test": 10_000}}


RECIPE = Recipe("20200523", f"60,000 + 10,000 pictures of Debian package {_PACKAGE}", _build)

"""wti: daily spot prices of West Texas Intermediate crude oil, out of a Python package."""

import csv
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

from vaka.data.packaged.recipe import Recipe, Say, checked, downloads, wheel

_ARCH = "8.0.0"
_FILE = "arch/data/wti/wti.csv.gz"
_DIGEST = "sha256:b83498894138a65cdc14a67fc1716aa90b3cfda274f976bd3692cc3f1500084d"
_ORIGIN = "U.S. Energy Information Administration, by FRED (series DCOILWTICO), in US dollars a barrel"


def _build(folder: Path, say: Say) -> dict[str, Any]:
    with downloads() as temporary:
        say("wti: downloading (1 MB)")
        with zipfile.ZipFile(wheel("arch", _ARCH, temporary)) as package:
            packed = package.read(_FILE)
            licence = package.read(f"arch-{_ARCH}.dist-info/licenses/LICENSE.md").decode()
    packed = checked(packed, _DIGEST, f"wti.csv.gz of arch {_ARCH}")
    rows = list(csv.reader(io.StringIO(gzip.decompress(packed).decode())))[1:]
    prices = [(_iso(date), price) for date, price in rows if price != "."]
    text = "".join(f"{date},{price}\n" for date, price in (("date", "price"), *prices))
    (folder / "wti.csv").write_text(text)
    package_name = f"PyPI arch {_ARCH}"
    (folder / "LICENSE.txt").write_text(
        f"The prices are of the {_ORIGIN}.\nPackage: {package_name}\n\n{licence}"
    )
    source = {"package": package_name, "licence": "NCSA (the package)", "origin": _ORIGIN}
    return source | {"counts": {"train": len(prices)}, "unit": "prices"}


def _iso(date: str) -> str:
    """2 January 1986 as 1986-01-02; there it stands as 1/2/1986."""
    month, day, year = map(int, date.split("/"))
    return f"{year}-{month:02}-{day:02}"


RECIPE = Recipe(f"arch-{_ARCH}", f"8,321 daily prices of Python package arch {_ARCH}", _build)

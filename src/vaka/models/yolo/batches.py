"""The batches of a training run: made in threads, one ahead of the network."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaka.cpus import usable_cpus
from vaka.models.yolo.assigner import Objects
from vaka.models.yolo.augment import Sample

_MOST_THREADS = 8

Key = TypeVar("Key")
T = TypeVar("T")


class Batch(NamedTuple):
    """Pictures uint8 [n, side, side, 3], their objects, and a colour matrix [n, 3, 3] for each."""

    images: Tensor
    objects: Objects
    colours: Tensor

    def to(self, device: str) -> "Batch":
        objects = Objects(*(part.to(device) for part in self.objects))
        return Batch(self.images.to(device), objects, self.colours.to(device))


def collated(samples: list[Sample], colours: list[NDArray[np.float32]]) -> Batch:
    """One batch of samples, padded to the most objects that one of them has."""
    most = max(len(sample.classes) for sample in samples)
    boxes = np.zeros((len(samples), most, 4), np.float32)
    classes = np.full((len(samples), most), -1, np.int64)
    for place, sample in enumerate(samples):
        boxes[place, : len(sample.classes)] = sample.boxes
        classes[place, : len(sample.classes)] = sample.classes
    images = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    objects = Objects(torch.from_numpy(boxes), torch.from_numpy(classes))
    return Batch(images, objects, torch.from_numpy(np.stack(colours)))


class Ahead:
    """Makes things in threads, and the next one before it is asked for.

    What is made depends on its key alone, so it makes no difference whether it was foreseen.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(min(_MOST_THREADS, usable_cpus()), "samples")
        self._foreseen: tuple[object, list[Future[object]]] | None = None

    def made(self, key: Key, following: Key, parts: Callable[[Key], list[Callable[[], T]]]) -> list[T]:
        """What the parts of `key` come to; those of `following` are begun."""
        begun = self._foreseen
        futures = begun[1] if begun and begun[0] == key else self._begin(parts(key))
        self._foreseen = (following, self._begin(parts(following)))
        return [future.result() for future in futures]  # type: ignore[misc]

    def _begin(self, parts: list[Callable[[], T]]) -> list[Future[object]]:
        return [self._threads.submit(part) for part in parts]

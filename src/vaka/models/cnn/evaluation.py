"""How good an image classifier is, from its probabilities alone."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.artifacts.manifest import ImageInput, Manifest
from vaka.artifacts.runtime import Predict
from vaka.data.dataset import Images, ImageShape, relabel
from vaka.data.load import read
from vaka.models.architecture import Evaluation

BATCH = 256
INPUT = "image"
OUTPUT = "probabilities"
_SMALLEST = 1e-12
"""A probability of zero for what is true shall cost much, and not everything."""


def scores(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """accuracy, top-5 accuracy and loss (mean negative log-likelihood, in nats) of [n, classes] for [n]."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    better = (probabilities > own).sum(axis=1)
    return {
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "top5Accuracy": float((better < 5).mean()),
        "loss": float(-np.log(np.maximum(own, _SMALLEST)).mean()),
    }


def per_class(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: list[str]
) -> dict[str, float]:
    """Part of each class' images that are recognised (its recall), for the classes that occur."""
    right = probabilities.argmax(axis=1) == labels
    return {classes[i]: float(right[labels == i].mean()) for i in np.unique(labels)}


def probabilities_of(predict: Predict, images: Images) -> NDArray[np.float32]:
    """Class probabilities FP32 [n, classes] of a published graph."""
    return np.concatenate([predict({INPUT: batch})[OUTPUT] for batch in _batches(images)])


def _batches(images: Images) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(images), BATCH):
        yield images.pixels[start : start + BATCH].astype(np.float32)


def evaluate(predict: Predict, manifest: Manifest, source: Path, options: Evaluation) -> dict[str, Any]:
    """The scores on a data set whose classes the model knows; DatasetError where they do not fit."""
    image = manifest.image or ImageInput(height=0, width=0, channels=0)
    shape = ImageShape(image.channels, image.height, image.width)
    parts = read(source, format=options.format, shape=shape, scratch=options.scratch)
    images = relabel(parts, tuple(manifest.labels), source).choose(options.split, source)
    started = perf_counter()
    probabilities = probabilities_of(predict, images)
    seconds = perf_counter() - started
    return {
        **scores(probabilities, images.labels),
        "perClassAccuracy": per_class(probabilities, images.labels, manifest.labels),
        "count": len(images),
        "samplesPerSecond": len(images) / seconds,
        "notes": list(parts.notes),
    }

"""How good an image classifier is, from its probabilities alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.api.dataset import DatasetSpec
from vaka.artifacts.manifest import ImageInput, Manifest
from vaka.artifacts.runtime import Predict
from vaka.data.dataset import Dataset, Images, ImageShape, divide, relabel
from vaka.data.load import read
from vaka.models.architecture import Evaluation, Inputs, Metrics, Published

BATCH = 256
SAMPLES = 512
"""How many images show which values there are between the layers."""
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


def test(predict: Predict, data: Dataset) -> Metrics:
    """The scores of a published graph on the validation data."""
    return scores(probabilities_of(predict, data.validation), data.validation.labels)


def samples(data: Dataset) -> list[Inputs]:
    """Training images, spread evenly over the data."""
    chosen = np.linspace(0, len(data.train) - 1, min(SAMPLES, len(data.train))).astype(int)
    return [{INPUT: image[None].astype(np.float32)} for image in data.train.pixels[chosen]]


def calibration(
    model: Published, source: Path, spec: DatasetSpec, scratch: Path
) -> tuple[list[Inputs], Callable[[Predict], Metrics]]:
    """Samples and test of a data set whose classes the model knows; DatasetError where they do not fit."""
    parts = read(source, format=spec.format, shape=_shape(model.manifest), scratch=scratch)
    known = relabel(parts, tuple(model.manifest.labels), source)
    data = divide(known, source, validation_fraction=spec.validation_fraction, seed=spec.seed)
    return samples(data), lambda predict: test(predict, data)


def _shape(manifest: Manifest) -> ImageShape:
    image = manifest.image or ImageInput(height=0, width=0, channels=0)
    return ImageShape(image.channels, image.height, image.width)


def _batches(images: Images) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(images), BATCH):
        yield images.pixels[start : start + BATCH].astype(np.float32)


def evaluate(predict: Predict, model: Published, source: Path, options: Evaluation) -> dict[str, Any]:
    """The scores on a data set whose classes the model knows; DatasetError where they do not fit."""
    parts = read(source, format=options.format, shape=_shape(model.manifest), scratch=options.scratch)
    images = relabel(parts, tuple(model.manifest.labels), source).choose(options.split, source)
    started = perf_counter()
    probabilities = probabilities_of(predict, images)
    seconds = perf_counter() - started
    return {
        **scores(probabilities, images.labels),
        "perClassAccuracy": per_class(probabilities, images.labels, model.manifest.labels),
        "count": len(images),
        "samplesPerSecond": len(images) / seconds,
        "notes": list(parts.notes),
    }

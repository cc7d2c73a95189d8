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
TOP = (3, 5)
LARGEST_MATRIX = 50
"""With more classes the manifest names the commonest confusions only."""
COMMONEST = 100
SAMPLES = 512
"""How many images show which values there are between the layers."""
INPUT = "image"
OUTPUT = "probabilities"
_SMALLEST = 1e-12
"""A probability of zero for what is true shall cost much, and not everything."""


def scores(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Measures of [n, classes] for [n].

    accuracy; balancedAccuracy, the mean over the classes that occur of each one's own; topKAccuracy, how
    often the class is among the K likeliest; loss, the mean negative log-likelihood in nats.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    better = (probabilities > own).sum(axis=1)
    right = probabilities.argmax(axis=1) == labels
    return {
        "accuracy": float(right.mean()),
        "balancedAccuracy": float(np.mean([right[labels == i].mean() for i in np.unique(labels)])),
        **{f"top{k}Accuracy": float((better < k).mean()) for k in TOP},
        "loss": float(-np.log(np.maximum(own, _SMALLEST)).mean()),
    }


def details(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: list[str]
) -> dict[str, Any]:
    """What single numbers do not tell: recall, precision and F1 of each class, and what is taken for what.

    Recall is called accuracy, as in "of 100 zebras, 97 were recognised". Classes that do not occur are left
    out; a class that nothing was taken for has precision 0.
    """
    counts = confusion(probabilities.argmax(axis=1), labels, len(classes))
    right, occur, told = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    found = [int(i) for i in occur.nonzero()[0]]

    def named(values: NDArray[np.float64]) -> dict[str, float]:
        return {classes[i]: float(values[i]) for i in found}

    return {
        "perClassAccuracy": named(right / np.maximum(occur, 1)),
        "perClassPrecision": named(right / np.maximum(told, 1)),
        "perClassF1": named(2 * right / np.maximum(occur + told, 1)),
        **confusions(counts, classes),
    }


def confusion(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts [classes, classes]: row i, column j is how often an image of class i was taken for class j."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confusions(counts: NDArray[np.int64], classes: list[str]) -> dict[str, Any]:
    """The confusion matrix where it is small, else its largest entries beside the diagonal."""
    if len(classes) <= LARGEST_MATRIX:
        return {"confusionMatrix": counts.tolist()}
    wrong = counts - np.diag(counts.diagonal())
    largest = np.argsort(-wrong, axis=None, kind="stable")[:COMMONEST]
    pairs = [divmod(int(place), len(classes)) for place in largest if wrong.flat[place]]
    return {
        "commonestConfusions": [
            {"class": classes[i], "takenFor": classes[j], "count": int(wrong[i, j])} for i, j in pairs
        ]
    }


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
        **details(probabilities, images.labels, model.manifest.labels),
        "count": len(images),
        "samplesPerSecond": len(images) / seconds,
        "notes": list(parts.notes),
    }

"""Pictures in, classes out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vaka.artifacts.manifest import ImageInput, Manifest
from vaka.artifacts.tensors import Array
from vaka.models import pictures
from vaka.models.cnn.evaluation import OUTPUT
from vaka.models.pipeline import Arrays, Pipeline


class Classification(msgspec.Struct):
    """The answer for one image: the likeliest class and the probability of each."""

    class_: int = msgspec.field(name="class")
    label: str
    probability: float
    probabilities: list[float]


class Classifier(Pipeline):
    """See `vaka.models.pipeline.Pipeline`."""

    independent_rows = True
    columnar = False

    def __init__(self, manifest: Manifest, image: ImageInput) -> None:
        super().__init__(manifest)
        self._image = image
        self._name = manifest.signature.inputs[0].name

    def rows(self, array: Array, where: str) -> Arrays:
        return {self._name: pictures.from_numbers(array, self._image, where)}

    def instances(self, given: list[Any], where: str) -> Arrays:
        pixels = [pictures.decode(one, self._image, f"{where}[{i}]") for i, one in enumerate(given)]
        return {self._name: np.stack(pixels)}

    def encode(self, inputs: Arrays) -> tuple[Arrays, Any]:
        pictures.check_range(inputs[self._name], f"input {self._name!r}")
        return super().encode(inputs)

    def predictions(self, outputs: Arrays) -> list[Any]:
        return [Classification(*self._likeliest(row), row.tolist()) for row in outputs[OUTPUT]]

    def summary(self, outputs: Mapping[str, Sequence[Array]]) -> Arrays:
        best = [self._likeliest(row) for row in outputs[OUTPUT]]
        return {
            "class": np.array([number for number, _, _ in best], np.int64),
            "label": np.array([label for _, label, _ in best], object),
            "probability": np.array([probability for _, _, probability in best], np.float64),
        }

    def instance_schema(self) -> dict[str, Any]:
        return {}

    def instance_example(self) -> Any:
        image = self._image
        shape = (image.height, image.width, *[image.channels] * (image.channels > 1))
        return np.zeros(shape, int).tolist()

    def _likeliest(self, row: Array) -> tuple[int, str, float]:
        """Class, label and probability of what is likeliest in a row of probabilities."""
        best, labels = int(np.argmax(row)), self.manifest.labels
        return best, labels[best] if best < len(labels) else str(best), float(row[best])


def pipeline(manifest: Manifest, _: Path) -> Pipeline:
    """That of a manifest which says what pictures the graph takes."""
    return Classifier(manifest, manifest.image) if manifest.image else Pipeline(manifest)

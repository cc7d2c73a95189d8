"""What stands between people and a graph: numpy alone, so that servers and batches need no torch."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.artifacts.tensors import DTYPES, Array, check_names, from_json, with_ones

Arrays: TypeAlias = Mapping[str, Array]
"""By name; each has a row for each instance."""


def pipeline(manifest: Manifest, folder: Path) -> "Pipeline":
    """That of the model's architecture, or the plain one where it has none of its own.

    Args:
        folder: the model's, for what the pipeline reads beside the manifest.
    """
    name = f"vaka.models.{manifest.architecture}"
    if find_spec(name) is None or find_spec(f"{name}.pipeline") is None:
        return Pipeline(manifest)
    own: Pipeline = import_module(f"{name}.pipeline").pipeline(manifest, folder)
    return own


class Pipeline:
    """Hands tensors through as they are. An architecture that wants more overrides what it needs."""

    independent_rows: bool | None = None
    """Whether rows of several requests may be computed together; None: the server tries it out."""
    columnar: bool = True
    """Whether the columns of a table are the inputs as they are."""
    frames: bool = False
    """Whether an instance may be the bytes of a picture file, so that a video is something to look at."""
    forecasts: bool = False
    """Whether it is a `vaka.models.lstm.pipeline.Forecasting`, which the forecast API asks."""
    threaded: bool = False
    """Whether encoding takes so long that it would hold up other requests."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._graph = manifest.signature
        self._texts = [tensor.name for tensor in self._graph.inputs if tensor.datatype == "BYTES"]

    @property
    def signature(self) -> Signature:
        """What people give and get."""
        return self._graph

    def meant(self, inputs: Arrays) -> list[Tensor]:  # noqa: ARG002
        """The inputs of the signature, or others that are taken in their place where these are given."""
        return self.signature.inputs

    def encode(self, inputs: Arrays) -> tuple[Arrays, Any]:
        """The graph's inputs for people's, which fit the signature, and what `decode` shall be told of them.

        BadInput where a value is not what the model takes.
        """
        for name in self._texts:
            if any(isinstance(value, bytes) for value in inputs[name].flat):
                raise BadInput(f"input {name!r}: BYTES must be UTF-8")
        return inputs, None

    def decode(self, outputs: Arrays, told: Any) -> Arrays:  # noqa: ARG002
        """What people get for the graph's outputs."""
        return outputs

    def rows(self, array: Array, where: str) -> Arrays:  # noqa: ARG002
        """People's inputs for instances that are all numbers, of the type of the one input, in one array."""
        tensor = self.signature.inputs[0]
        return {tensor.name: with_ones(array, tensor)}

    def instances(self, given: list[Any], where: str) -> Arrays:
        """People's inputs for instances as JSON has them; BadInput says what is wrong, and `where`."""
        inputs = self.signature.inputs
        if len(inputs) == 1:
            values = [_value(one, inputs[0], f"{where}[{i}]") for i, one in enumerate(given)]
            return {inputs[0].name: with_ones(from_json(values, inputs[0].datatype, where), inputs[0])}
        names = ", ".join(tensor.name for tensor in inputs)
        for i, instance in enumerate(given):
            if not isinstance(instance, dict):
                raise BadInput(f"{where}[{i}] must be an object with the inputs {names}")
            check_names(instance, inputs, f"{where}[{i}]: ")
        return {t.name: from_json([one[t.name] for one in given], t.datatype, t.name) for t in inputs}

    def predictions(self, outputs: Arrays) -> list[Any]:
        """People's outputs as JSON has them, one for each instance."""
        if len(outputs) == 1:
            rows: list[Any] = next(iter(outputs.values())).tolist()
            return rows
        columns = {name: array.tolist() for name, array in outputs.items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def summary(self, outputs: Mapping[str, Sequence[Array]]) -> Arrays:  # noqa: ARG002
        """What a table of results says of each row before the outputs, which it is given."""
        return {}

    def example(self, rows: int) -> Arrays | None:
        """Inputs of the graph to warm up with; None where their shapes are unknown."""
        if any(-1 in tensor.shape[1:] for tensor in self._graph.inputs):
            return None
        return {tensor.name: _zeros(tensor, rows) for tensor in self._graph.inputs}

    def instance_schema(self) -> dict[str, Any] | None:
        """JSON Schema of an instance; None: as the signature has it."""
        return None

    def instance_example(self) -> Any | None:
        """An instance to show; None: zeros, as the signature has it."""
        return None


def _value(instance: Any, tensor: Tensor, where: str) -> Any:
    """That of the one input, which may stand by its name or alone."""
    if not isinstance(instance, dict):
        return instance
    check_names(instance, [tensor], f"{where}: ")
    return instance[tensor.name]


def _zeros(tensor: Tensor, rows: int) -> Array:
    return np.full(tensor.shape_of(rows), "" if tensor.datatype == "BYTES" else 0, DTYPES[tensor.datatype])

"""One loaded model: named arrays in, named arrays out, whatever protocol they came by.

What people give and get (`vaka.models.pipeline`) may differ from what its graph takes and gives.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from vaka.artifacts.errors import BadInput, ModelInvalid
from vaka.artifacts.manifest import Manifest, Signature
from vaka.artifacts.tensors import Array, check, check_names
from vaka.models.pipeline import Arrays, pipeline
from vaka.serving.engines.engine import Engine
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.samples import alike, noise

MAX_BATCH = 32
"""Images that the model sees at once: more are split, so that a request cannot take all memory."""


class Predictor:
    """A graph that is held to the manifest's signature."""

    def __init__(self, graph: Path, manifest: Manifest, *, threads: int = 1) -> None:
        engine = OnnxRuntime(graph, threads=threads)
        _compare(graph, declared=manifest.signature, found=engine.signature)
        self.engine: Engine = engine
        """May be exchanged for another one at any time."""
        self._graph = manifest.signature
        self._graph_outputs = [tensor.name for tensor in manifest.signature.outputs]
        self.pipeline = pipeline(manifest, graph.parent)
        self.signature = self.pipeline.signature
        self._names = {tensor.name for tensor in self.signature.inputs}
        self._outputs = [tensor.name for tensor in self.signature.outputs]
        self._is_plain = self.signature is manifest.signature
        self.batchable = manifest.signature.has_free_rows and self._rows_are_independent()
        """Whether each row of the outputs depends on the same row of the inputs and on nothing else."""

    def predict(self, inputs: Arrays, outputs: Collection[str] = ()) -> Arrays:
        """The named outputs, or all if none is named; BadInput where an array does not fit."""
        self.check(inputs, outputs)
        encoded, told = self.pipeline.encode(inputs)
        return self.decode(self.run(encoded, self.needed(outputs)), told, outputs)

    def check(self, inputs: Arrays, outputs: Collection[str]) -> None:
        """BadInput unless the arrays are the model's inputs, and it has these outputs."""
        if inputs.keys() != self._names:
            check_names(inputs, self.signature.inputs)
        for tensor in self.pipeline.meant(inputs):
            check(inputs[tensor.name], tensor)
        for name in sorted(set(outputs) - set(self._outputs)):
            raise BadInput(f"output {name!r} is unknown: the model gives {', '.join(self._outputs)}")

    def needed(self, outputs: Collection[str]) -> Collection[str]:
        """Outputs of the graph from which these are made."""
        return outputs if self._is_plain else ()

    def decode(self, results: Arrays, told: Any, outputs: Collection[str]) -> Arrays:
        """These outputs, or all if none is named, from what the graph gave."""
        decoded = self.pipeline.decode(results, told)
        return {name: decoded[name] for name in self._outputs if name in outputs} if outputs else decoded

    def run(self, inputs: Arrays, outputs: Collection[str] = ()) -> dict[str, Array]:
        """Outputs of the graph for inputs of the graph."""
        all_names = self._graph_outputs
        names = [name for name in all_names if name in outputs] if outputs else all_names
        count = len(next(iter(inputs.values()))) if self.batchable else 0
        if count <= MAX_BATCH:
            return dict(zip(names, self.engine.run(names, inputs), strict=True))
        parts = [
            self.engine.run(names, {name: array[start : start + MAX_BATCH] for name, array in inputs.items()})
            for start in range(0, count, MAX_BATCH)
        ]
        return {name: np.concatenate(arrays) for name, *arrays in zip(names, *parts, strict=True)}

    def warm_up(self, rows: int = 1) -> None:
        """Run once, so that the first request does not pay; skipped where shapes are unknown."""
        example = self.pipeline.example(rows if self.batchable else 1)
        if example is None:
            return
        try:
            self.run(example)
        except BadInput as error:
            raise ModelInvalid(f"the model does not run on its own signature: {error}") from error

    def _rows_are_independent(self) -> bool:
        """Tried with two rows together and alone: the first dimension may be time, or anything else."""
        if self.pipeline.independent_rows is not None:
            return self.pipeline.independent_rows
        known = all(-1 not in tensor.shape[1:] for tensor in self._graph.inputs)
        if not known or any(t.datatype == "BYTES" for t in self._graph.inputs):
            return False
        run, names = self.engine.run, self._graph_outputs
        both = noise(self._graph, 2)
        try:
            together = run(names, both)
            alone = [run(names, {name: array[i : i + 1] for name, array in both.items()}) for i in (0, 1)]
        except BadInput:
            return False
        rows = [np.concatenate(parts) for parts in zip(*alone, strict=True)]
        return all(alike(a, b) for a, b in zip(together, rows, strict=True))


def _compare(graph: Path, *, declared: Signature, found: Signature) -> None:
    """ModelInvalid unless names, types and ranks of the manifest are those of the graph."""

    def essence(signature: Signature) -> list[tuple[Any, ...]]:
        return sorted((t.name, t.datatype, len(t.shape)) for t in (*signature.inputs, *signature.outputs))

    if essence(declared) != essence(found):
        raise ModelInvalid(
            f"{graph} has {essence(found)}, its manifest says {essence(declared)}: publish the model again"
        )

"""One loaded model: named arrays in, named arrays out, whatever protocol they came by."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vaka.artifacts.errors import ModelInvalid
from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.artifacts.signature import signature_of
from vaka.serving.errors import BadRequest
from vaka.serving.tensors import DTYPES, Array, check, check_names

if TYPE_CHECKING:
    from onnxruntime import SessionOptions  # type: ignore[import-untyped]

MAX_BATCH = 32
"""Images that the model sees at once: more are split, so that a request cannot take all memory."""


class Predictor:
    """A session of ONNX Runtime on the CPU, held to the manifest's signature.

    One intra-op thread by default: a second one doubles the CPU time of a small model for no answer sooner.
    """

    def __init__(self, graph: Path, manifest: Manifest, *, threads: int = 1) -> None:
        from onnxruntime import InferenceSession

        try:
            self._session = InferenceSession(graph, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no base class of their own
            raise ModelInvalid(f"{graph} cannot be loaded as ONNX: {error}") from error
        self.signature = manifest.signature
        _compare(graph, declared=manifest.signature, found=signature_of(self._session))
        self._splits = manifest.image is not None and _has_free_batch(manifest.signature)

    def predict(self, inputs: Mapping[str, Array], outputs: Collection[str] = ()) -> dict[str, Array]:
        """The named outputs, or all if none is named; BadRequest where an array does not fit."""
        self._check(inputs, outputs)
        names = [o.name for o in self.signature.outputs if not outputs or o.name in outputs]
        count = len(next(iter(inputs.values()))) if self._splits else 0
        if count <= MAX_BATCH:
            return dict(zip(names, self._run(names, inputs), strict=True))
        parts = [
            self._run(names, {name: array[start : start + MAX_BATCH] for name, array in inputs.items()})
            for start in range(0, count, MAX_BATCH)
        ]
        return {name: np.concatenate(arrays) for name, *arrays in zip(names, *parts, strict=True)}

    def warm_up(self) -> None:
        """Run once with zeros, so that the first request does not pay; skipped where shapes are unknown."""
        known = all(-1 not in tensor.shape[1:] for tensor in self.signature.inputs)
        if not known:
            return
        try:
            self.predict({tensor.name: _zeros(tensor) for tensor in self.signature.inputs})
        except BadRequest as error:
            raise ModelInvalid(f"the model does not run on its own signature: {error}") from error

    def _check(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> None:
        check_names(inputs, self.signature.inputs)
        wanted = {tensor.name: tensor for tensor in self.signature.inputs}
        for name, array in inputs.items():
            check(array, wanted[name])
        known = [tensor.name for tensor in self.signature.outputs]
        for name in sorted(set(outputs) - set(known)):
            raise BadRequest(f"output {name!r} is unknown: the model gives {', '.join(known)}")

    def _run(self, names: list[str], inputs: Mapping[str, Array]) -> list[Array]:
        try:
            results: list[Array] = self._session.run(names, dict(inputs))
        except Exception as error:  # a graph may refuse values that its signature allows, such as an index
            raise BadRequest(f"the model fails on this input: {error}") from error
        return results


def _options(threads: int) -> "SessionOptions":
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    return options


def _compare(graph: Path, *, declared: Signature, found: Signature) -> None:
    """ModelInvalid unless names, types and ranks of the manifest are those of the graph."""

    def essence(signature: Signature) -> list[tuple[Any, ...]]:
        return sorted((t.name, t.datatype, len(t.shape)) for t in (*signature.inputs, *signature.outputs))

    if essence(declared) != essence(found):
        raise ModelInvalid(
            f"{graph} has {essence(found)}, its manifest says {essence(declared)}: publish the model again"
        )


def _has_free_batch(signature: Signature) -> bool:
    return all(t.shape[:1] == [-1] for t in (*signature.inputs, *signature.outputs))


def _zeros(tensor: Tensor) -> Array:
    shape = [1 if size == -1 else size for size in tensor.shape]
    return np.full(shape, "" if tensor.datatype == "BYTES" else 0, DTYPES[tensor.datatype])

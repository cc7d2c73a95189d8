"""ncnn, which computes 3x3 convolutions in fewer multiplications (Winograd; Lavin and Gray 2016).

In single precision all the way; answers are as near to the exact ones as those of ONNX Runtime.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vaka.artifacts.manifest import Signature
from vaka.artifacts.tensors import Array
from vaka.models.pipeline import Arrays
from vaka.serving.engines.engine import EngineName, Unsuitable
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.errors import BadRequest

INPUT, OUTPUT = "in0", "out{}"
LAYERS, WEIGHTS = "model.ncnn.param", "model.ncnn.bin"
HEAD = "head.onnx"
"""Where there is one: what comes after ncnn's part."""
REDUCED = ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed")
"""What must not be used of less precision, some of which is by default; not all builds have all."""


def is_installed() -> bool:
    return find_spec("ncnn") is not None


class Ncnn:
    """A graph in ncnn's form, in one thread, row by row, for it knows no batches.

    Large dense layers at the end are left to ONNX Runtime: they read as many weights for one row as for many.

    Args:
        folder: where LAYERS and WEIGHTS are, as `vaka.serving.engines.translate` has written them.
        signature: that of the graph.
    """

    name: EngineName = "ncnn"

    def __init__(self, folder: Path, signature: Signature) -> None:
        import ncnn  # type: ignore[import-untyped]

        self._net = ncnn.Net()
        self._net.opt.num_threads = 1
        for kind in REDUCED:
            setattr(self._net.opt, f"use_{kind}", False)
        if self._net.load_param(str(folder / LAYERS)) or self._net.load_model(str(folder / WEIGHTS)):
            raise Unsuitable(f"ncnn cannot load what is in {folder}")
        self._mat = ncnn.Mat
        self._input = signature.inputs[0].name
        self._head = OnnxRuntime(folder / HEAD) if (folder / HEAD).exists() else None
        self._outputs = {
            tensor.name: (OUTPUT.format(place), tensor.shape[1:])
            for place, tensor in enumerate(signature.outputs)
        }

    def run(self, outputs: list[str], inputs: Arrays) -> list[Array]:
        """See `vaka.serving.engines.engine.Engine`."""
        rows = np.ascontiguousarray(inputs[self._input])
        if self._head:
            features = np.stack([self._row([OUTPUT.format(0)], row)[0] for row in rows])
            return self._head.run(outputs, {self._head.signature.inputs[0].name: features})
        blobs, shapes = zip(*(self._outputs[name] for name in outputs), strict=True)
        found = zip(*(self._row(blobs, row) for row in rows), strict=True)
        return [np.stack(one).reshape(len(rows), *shape) for one, shape in zip(found, shapes, strict=True)]

    def _row(self, blobs: Sequence[str], row: Array) -> list[Array]:
        extractor = self._net.create_extractor()
        extractor.input(INPUT, self._mat(row).clone())  # layers may compute in place
        found = [extractor.extract(blob) for blob in blobs]
        if any(code for code, _ in found):
            raise BadRequest("the model fails on this input")
        return [np.asarray(mat) for _, mat in found]  # they keep what they look at

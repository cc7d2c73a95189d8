"""A graph whose weights and values between its layers are 8-bit whole numbers: smaller, faster, less exact.

Inputs and outputs stay what they are. Needs the package onnx, which servers do not have.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vaka.artifacts.manifest import GRAPH, Variant
from vaka.artifacts.runtime import Predict, predictor

INT8_GRAPH = "model.int8.onnx"
OPERATORS = ["Conv", "Gemm", "MatMul", "Add", "MaxPool", "ReduceMean", "Relu", "Reshape", "Flatten"]
"""What is computed in whole numbers. Not Softmax: it takes little of the time and would lose much."""

Inputs = Mapping[str, NDArray[Any]]


def add_int8(
    folder: Path, *, samples: Sequence[Inputs], measure: Callable[[Predict], dict[str, float]]
) -> Variant:
    """Write the graph in int8 beside the one of a model folder, and say what it loses.

    Args:
        samples: inputs as they come, by which the ranges of the values are found.
        measure: the measures of a graph on data that it has not been trained on.
    """
    quantize(folder / GRAPH, folder / INT8_GRAPH, samples)
    full, metrics = measure(predictor(folder / GRAPH)), measure(predictor(folder / INT8_GRAPH))
    return Variant(
        precision="int8",
        file=INT8_GRAPH,
        metrics=metrics,
        loss={name: full[name] - value for name, value in metrics.items()},
        samples=len(samples),
    )


def quantize(graph: Path, to: Path, samples: Sequence[Inputs]) -> None:
    """Static quantisation with a QuantizeLinear and DequantizeLinear around each operator (QDQ)."""
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import (  # type: ignore[import-untyped]
        quant_pre_process,
    )

    with tempfile.TemporaryDirectory(prefix="vaka-quantize-") as scratch:
        prepared = Path(scratch) / GRAPH
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(to),
            _reader(samples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Weights of 7 bits: with 8, sums overflow on processors without VNNI (MNIST lost 0.7 %).
            reduce_range=True,
        )


def _reader(samples: Sequence[Inputs]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(samples)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            inputs = next(self._left, None)
            return None if inputs is None else dict(inputs)

    return Reader()

"""What each operator of ONNX is in ncnn's layers; see translate."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vaka.serving.engines.engine import Unsuitable
from vaka.serving.engines.layers import FP32, Layer
from vaka.serving.engines.onnx_file import array_of, value_of
from vaka.serving.pb.onnx_graph_pb2 import GraphProto, NodeProto

BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3}
"""ncnn's numbers for them."""
SEVERAL = {*BINARY, "Concat"}
"""What may take several tensors that are no constants."""
MAX, AVERAGE = range(2)
GLOBAL, VALID = 1, 1
MAPS, ROW = 4, 2
"""Dimensions of a tensor of maps and of one of numbers, the rows among them."""

Values: TypeAlias = NDArray[np.float32]
Parameters: TypeAlias = dict[int, int | float]


class Operator:
    """A node of the graph, and which of its inputs are constants."""

    def __init__(self, node: NodeProto, constants: dict[str, NDArray[Any]]) -> None:
        self.kind = node.op_type
        self.output = node.output[0]
        self.computed = [name for name in node.input if name and name not in constants]
        self._attributes = {one.name: value_of(one) for one in node.attribute}
        self._constants = [constants.get(name) for name in node.input]
        if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
            raise self.unsuitable("is unknown")

    def attribute(self, name: str, default: Any) -> Any:
        return self._attributes.get(name, default)

    def values(self, place: int) -> Values | None:
        """The constant that stands there, if one does."""
        found = self._constants[place] if place < len(self._constants) else None
        return None if found is None else found.astype(np.float32)

    def weights(self, place: int) -> Values:
        if (found := self.values(place)) is None:
            raise self.unsuitable("has no constant weights")
        return found

    def unsuitable(self, why: str) -> Unsuitable:
        return Unsuitable(f"{self.kind} {why}, for ncnn")


def layers_of(graph: GraphProto) -> list[Layer]:
    """All layers, in an order in which they can be computed. Unsuitable where one is not known."""
    constants = {one.name: array_of(one) for one in graph.initializer}
    ranks = {one.name: len(one.type.tensor_type.shape.dim) for one in graph.input}
    layers: list[Layer] = []
    for node in graph.node:
        operator = Operator(node, constants)
        if operator.kind not in KNOWN or not (operator.kind in SEVERAL or len(operator.computed) == 1):
            raise operator.unsuitable("is unknown")
        layer, rank = KNOWN[operator.kind](operator, ranks[operator.computed[0]])
        layers.append(layer)
        ranks[operator.output] = rank
    return layers


Made: TypeAlias = tuple[Layer, int]
"""A layer, and the dimensions of what it gives."""


def _layer(operator: Operator, kind: str, parameters: Parameters, rank: int, *, weights: bytes = b"") -> Made:
    inputs, output = operator.computed, operator.output
    return Layer(kind=kind, inputs=inputs, output=output, parameters=parameters, weights=weights), rank


def _convolution(operator: Operator, _: int) -> Made:
    kernels, bias = operator.weights(1), operator.values(2)
    if kernels.ndim != 4:
        raise operator.unsuitable("is not of pictures")
    groups = int(operator.attribute("group", 1))
    rows, columns = operator.attribute("dilations", [1, 1])
    parameters: Parameters = {0: len(kernels), 2: columns, 12: rows}
    parameters |= {5: int(bias is not None), 6: kernels.size} | ({7: groups} if groups > 1 else {})
    parameters |= _window(operator, kernels.shape[2:], strides=(3, 13), pads=(14, 4, 16, 15))
    weights = FP32 + kernels.tobytes() + (b"" if bias is None else bias.tobytes())
    kind = "ConvolutionDepthWise" if groups > 1 else "Convolution"
    return _layer(operator, kind, parameters, MAPS, weights=weights)


def _pooling(operator: Operator, rank: int) -> Made:
    dilated = set(operator.attribute("dilations", [1, 1])) != {1}
    if rank != MAPS or dilated or operator.attribute("ceil_mode", 0):
        raise operator.unsuitable("has dilations, rounds up or is not of pictures")
    parameters: Parameters = {0: MAX if operator.kind == "MaxPool" else AVERAGE, 5: VALID}
    parameters |= {6: operator.attribute("count_include_pad", 0)}
    size = operator.attribute("kernel_shape", [])
    parameters |= _window(operator, size, strides=(2, 12), pads=(13, 3, 15, 14))
    return _layer(operator, "Pooling", parameters, MAPS)


def _window(
    operator: Operator, size: Sequence[int], *, strides: Sequence[int], pads: Sequence[int]
) -> Parameters:
    """What is looked at, under ncnn's numbers for strides (columns, rows) and pads (top, left, bottom,
    right)."""
    if operator.attribute("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise operator.unsuitable("is padded by itself")
    rows, columns = operator.attribute("strides", [1, 1])
    padding = operator.attribute("pads", [0, 0, 0, 0])
    shape = {1: int(size[1]), 11: int(size[0]), strides[0]: columns, strides[1]: rows}
    return shape | dict(zip(pads, padding, strict=True))


def _mean(operator: Operator, rank: int) -> Made:
    """Over all of each map; ncnn drops the two dimensions, whether the operator keeps them or not."""
    if operator.kind == "ReduceMean":
        axes = operator.values(1)
        over = operator.attribute("axes", []) if axes is None else axes.astype(int).tolist()
        if {axis % rank for axis in over} != {2, 3}:
            raise operator.unsuitable("is not over whole maps")
    kept = MAPS if operator.attribute("keepdims", 1) else ROW
    return _layer(operator, "Pooling", {0: AVERAGE, 4: GLOBAL}, kept)


def _flatten(operator: Operator, _: int) -> Made:
    shape = operator.values(1)
    if operator.kind == "Flatten" and operator.attribute("axis", 1) != 1:
        raise operator.unsuitable("leaves more than the rows")
    if operator.kind == "Reshape" and (shape is None or len(shape) != 2 or shape[0] not in (0, -1)):
        raise operator.unsuitable("makes anything else than rows")
    return _layer(operator, "Flatten", {}, ROW)


def _product(operator: Operator, rank: int) -> Made:
    """`y = x W + b`."""
    matrix, bias = operator.weights(1), operator.values(2)
    if rank != ROW or matrix.ndim != 2 or operator.attribute("transA", 0):
        raise operator.unsuitable("is not of rows and weights")
    matrix = matrix if operator.attribute("transB", 0) else matrix.T
    matrix = np.float32(operator.attribute("alpha", 1.0)) * matrix
    parameters: Parameters = {0: len(matrix), 1: int(bias is not None), 2: matrix.size}
    weights = FP32 + np.ascontiguousarray(matrix).tobytes()
    if bias is not None:
        bias = np.float32(operator.attribute("beta", 1.0)) * bias
        weights += np.broadcast_to(bias.reshape(-1), len(matrix)).astype(np.float32).tobytes()
    return _layer(operator, "InnerProduct", parameters, ROW, weights=weights)


def _normalization(operator: Operator, rank: int) -> Made:
    scale, bias, mean, variance = (operator.weights(place) for place in range(1, 5))
    factor = scale / np.sqrt(variance + np.float32(operator.attribute("epsilon", 1e-5)))
    return _scaled(operator, factor, bias - mean * factor, rank)


def _scaled(operator: Operator, factor: Values, bias: Values, rank: int) -> Made:
    """Each channel times its factor, and its bias added."""
    factor, bias = np.broadcast_arrays(factor, bias)
    weights = factor.astype(np.float32).tobytes() + bias.astype(np.float32).tobytes()
    return _layer(operator, "Scale", {0: factor.size, 1: 1}, rank, weights=weights)


def _arithmetic(operator: Operator, rank: int) -> Made:
    number = BINARY[operator.kind]
    if len(operator.computed) == 2:
        return _layer(operator, "BinaryOp", {0: number}, rank)
    constant = operator.values(1) if operator.values(0) is None else operator.values(0)
    if constant is None or (operator.values(0) is not None and operator.kind in ("Sub", "Div")):
        raise operator.unsuitable("of a constant is unknown")
    if constant.size == 1:
        return _layer(operator, "BinaryOp", {0: number, 1: 1, 2: float(constant.reshape(-1)[0])}, rank)
    channels = constant.shape[1 - rank :][0] if constant.ndim >= rank - 1 else 0
    if channels != constant.size:
        raise operator.unsuitable("has another constant for each place")
    values = constant.reshape(-1)
    one, nothing = np.ones(1, np.float32), np.zeros(1, np.float32)
    scales: dict[str, tuple[Values, Values]] = {
        "Add": (one, values),
        "Sub": (one, -values),
        "Mul": (values, nothing),
        "Div": (np.reciprocal(values), nothing),
    }
    return _scaled(operator, *scales[operator.kind], rank)


def _softmax(operator: Operator, rank: int) -> Made:
    if rank != ROW or operator.attribute("axis", -1) not in (-1, 1):
        raise operator.unsuitable("is not over the numbers of a row")
    return _layer(operator, "Softmax", {0: 0, 1: 1}, ROW)


def _concatenation(operator: Operator, rank: int) -> Made:
    if operator.attribute("axis", 0) % rank != 1 or len(operator.computed) < 2:
        raise operator.unsuitable("is not over channels")
    return _layer(operator, "Concat", {0: 0}, rank)


def _clip(operator: Operator, rank: int) -> Made:
    least, most = operator.values(1), operator.values(2)
    low, high = (-math.inf if least is None else float(least)), (math.inf if most is None else float(most))
    limit = float(np.finfo(np.float32).max)
    return _layer(operator, "Clip", {0: max(low, -limit), 1: min(high, limit)}, rank)


def _activation(operator: Operator, rank: int) -> Made:
    if operator.kind == "LeakyRelu":
        return _layer(operator, "ReLU", {0: float(operator.attribute("alpha", 0.01))}, rank)
    return _layer(operator, {"Relu": "ReLU", "Sigmoid": "Sigmoid", "Tanh": "TanH"}[operator.kind], {}, rank)


KNOWN: dict[str, Callable[[Operator, int], Made]] = {
    "Conv": _convolution,
    "MaxPool": _pooling,
    "AveragePool": _pooling,
    "GlobalAveragePool": _mean,
    "ReduceMean": _mean,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "Gemm": _product,
    "MatMul": _product,
    "BatchNormalization": _normalization,
    "Softmax": _softmax,
    "Concat": _concatenation,
    "Clip": _clip,
    **dict.fromkeys(BINARY, _arithmetic),
    **dict.fromkeys(("Relu", "LeakyRelu", "Sigmoid", "Tanh"), _activation),
}
"""By the operator's name; the second argument is how many dimensions its first input has."""

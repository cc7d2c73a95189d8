"""Networks made by chance, of all operators that are translated, give the same in ncnn and ONNX Runtime."""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, save

from vaka.serving.engines import translate as translation
from vaka.serving.engines.engine import Unsuitable
from vaka.serving.engines.ncnn import HEAD, Ncnn
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.samples import noise
from vaka.serving.engines.translate import translate

info = helper.make_tensor_value_info
PARTS = ("conv", "depthwise", "pool", "normalize", "activate", "constant", "residual", "branches")
HEADS = ("mean", "keepdims", "global", "flatten", "reshape")


class Network:
    """A graph from FP32 [n, channels, height, width] to [n, 5], a node at a time."""

    def __init__(self, chance: np.random.Generator, *shape: int) -> None:
        self.chance = chance
        self.shape = shape
        self.channels, *self.sides = shape
        self.nodes, self.constants, self.last = [], [], "x"

    def constant(self, array, dtype=np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def node(self, kind: str, *inputs: str, **attributes) -> str:
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [*inputs], [self.last], **attributes))
        return self.last

    def conv(self, groups: int = 1, *, alike: bool = False, filters: int = 0) -> None:
        """A convolution; where it is `alike`, maps keep their size."""
        size = [3, 3] if alike else self.chance.integers(1, 4, 2).tolist()
        strides = [1, 1] if alike else self.chance.integers(1, 3, 2).tolist()
        dilations = [1, 1] if alike else self.chance.integers(1, 3, 2).tolist()
        pads = [1, 1, 1, 1] if alike else self.chance.integers(1, 4, 4).tolist()
        filters = filters or (self.channels if groups > 1 else int(self.chance.integers(1, 20)))
        shape = (filters, self.channels // groups, *size)
        kernels = self.constant(self.chance.normal(0, np.prod(shape[1:]) ** -0.5, shape))
        bias = [self.constant(self.chance.normal(size=filters))] if self.chance.random() < 0.5 else []
        window = {"pads": pads, "strides": strides, "dilations": dilations}
        self.node("Conv", self.last, kernels, *bias, group=groups, **window)
        self.channels = filters
        self.sides = [
            (side + pads[i] + pads[i + 2] - dilations[i] * (size[i] - 1) - 1) // strides[i] + 1
            for i, side in enumerate(self.sides)
        ]

    def depthwise(self) -> None:
        self.conv(groups=self.channels)

    def pool(self) -> None:
        if min(self.sides) < 3:
            return
        kind = str(self.chance.choice(["MaxPool", "AveragePool"]))
        more = {} if kind == "MaxPool" else {"count_include_pad": int(self.chance.integers(2))}
        size, pads = self.chance.integers(2, 4, 2).tolist(), self.chance.integers(0, 2, 4).tolist()
        self.node(kind, self.last, kernel_shape=size, strides=[2, 1], pads=pads, **more)
        self.sides = [
            (side + pads[i] + pads[i + 2] - size[i]) // (2 - i) + 1 for i, side in enumerate(self.sides)
        ]

    def normalize(self) -> None:
        values = [self.chance.uniform(0.5, 2, self.channels) for _ in range(4)]
        self.node("BatchNormalization", self.last, *map(self.constant, values))

    def activate(self) -> None:
        kind = str(self.chance.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Clip"]))
        limits = [self.constant(-0.5), self.constant(6.0)] if kind == "Clip" else []
        self.node(kind, self.last, *limits, **({"alpha": 0.2} if kind == "LeakyRelu" else {}))

    def constant_arithmetic(self) -> None:
        kind = str(self.chance.choice(["Add", "Sub", "Mul", "Div"]))
        shape = [(), (1,), (self.channels, 1, 1), (1, self.channels, 1, 1)][self.chance.integers(4)]
        number = self.constant(self.chance.uniform(0.5, 2, shape))
        before = kind in ("Add", "Mul") and self.chance.random() < 0.5
        self.node(kind, *((number, self.last) if before else (self.last, number)))

    def residual(self) -> None:
        before = self.last
        self.conv(alike=True, filters=self.channels)
        self.node(str(self.chance.choice(["Add", "Mul", "Sub"])), before, self.last)

    def branches(self) -> None:
        before, channels, ends = self.last, self.channels, []
        for _ in range(2):
            self.last, self.channels = before, channels
            self.conv(alike=True)
            self.node("Relu", self.last)
            ends.append((self.last, self.channels))
        self.node("Concat", before, *(name for name, _ in ends), axis=1)
        self.channels = channels + sum(number for _, number in ends)

    def head(self, how: str, *, transposed: bool, softmax: bool) -> None:
        number = self.channels
        if how == "mean":
            self.node("ReduceMean", self.last, self.constant([2, 3], np.int64), keepdims=0)
        elif how in ("keepdims", "global"):
            axes = [self.constant([-1, -2], np.int64)] if how == "keepdims" else []
            self.node("ReduceMean" if axes else "GlobalAveragePool", self.last, *axes)
            self.node("Flatten", self.last)
        else:
            number *= int(np.prod(self.sides))
            shape = [self.constant([0, -1], np.int64)] if how == "reshape" else []
            self.node("Reshape" if shape else "Flatten", self.last, *shape)
        weights = self.chance.normal(0, number**-0.5, (5, number) if transposed else (number, 5))
        if transposed or self.chance.random() < 0.5:
            bias = self.constant(self.chance.normal(size=5))
            self.node("Gemm", self.last, self.constant(weights), bias, transB=int(transposed), alpha=0.5)
        else:
            self.node("MatMul", self.last, self.constant(weights))
            self.node("Add", self.last, self.constant(self.chance.normal(size=5)))
        if softmax:
            self.node("Softmax", self.last, axis=int(self.chance.choice([-1, 1])))

    def save(self, to: Path) -> Path:
        wanted = [info(self.last, TensorProto.FLOAT, ["n", 5])]
        given = [info("x", TensorProto.FLOAT, ["n", *self.shape])]
        graph = helper.make_graph(self.nodes, "g", given, wanted, self.constants)
        save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]), to)
        return to


def both(network: Network, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    plain = OnnxRuntime(network.save(folder / "g.onnx"))
    translate(folder / "g.onnx", folder)
    inputs = noise(plain.signature, 3, largest=2)
    return plain.run([network.last], inputs)[0], Ncnn(folder, plain.signature).run([network.last], inputs)[0]


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 4), st.integers(6, 30), st.integers(6, 30)),
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=7),
    head=st.sampled_from(HEADS),
    transposed=st.booleans(),
    softmax=st.booleans(),
    heavy=st.sampled_from([1, 10**9]),
)
@settings(max_examples=150)
def test_a_network_gives_the_same(seed, shape, parts, head, transposed, softmax, heavy):
    network = Network(np.random.default_rng(seed), *shape)
    for part in parts:
        {"constant": network.constant_arithmetic}.get(part, getattr(network, part))()
    network.head(head, transposed=transposed, softmax=softmax)
    with TemporaryDirectory() as folder, patch.object(translation, "HEAVY", heavy):
        expected, found = both(network, Path(folder))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))


def test_a_heavy_head_is_left_to_onnx_runtime(tmp_path):
    network = Network(np.random.default_rng(0), 2, 60, 60)
    network.conv(alike=True, filters=8)
    network.head("flatten", transposed=True, softmax=True)
    np.testing.assert_allclose(*both(network, tmp_path), atol=1e-5)
    assert (tmp_path / HEAD).stat().st_size > 4 * 5 * 8 * 60 * 60


def test_a_head_that_looks_at_the_maps_as_well_is_not_cut_off(tmp_path):
    network = Network(np.random.default_rng(0), 2, 60, 60)
    network.conv(alike=True, filters=8)
    maps = network.last
    network.head("flatten", transposed=True, softmax=False)
    rows, network.last = network.last, maps
    network.head("mean", transposed=True, softmax=False)
    network.node("Add", rows, network.last)
    np.testing.assert_allclose(*both(network, tmp_path), atol=1e-4)
    assert not (tmp_path / HEAD).exists()


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        ("Erf", {}, "Erf is unknown"),
        ("Softmax", {"axis": 1}, "Softmax is not over the numbers of a row"),
        ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1}, "MaxPool has dilations, rounds up"),
        ("Flatten", {"axis": 2}, "Flatten leaves more than the rows"),
        (
            "AveragePool",
            {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"},
            "AveragePool is padded by itself",
        ),
    ],
)
def test_what_has_no_such_form_is_named(tmp_path, kind, attributes, said):
    network = Network(np.random.default_rng(0), 2, 8, 8)
    network.node(kind, network.last, **attributes)
    if kind != "Flatten":
        network.head("global", transposed=False, softmax=False)
    with pytest.raises(Unsuitable, match=said):
        both(network, tmp_path)

"""An ONNX graph in ncnn's form: its layers, one a line, and their weights.

The operators of usual convolutional networks are known, and Unsuitable says which one is not. ncnn's blobs
have no rows: a tensor [n, c, h, w] is [c, h, w] there, and [n, c] is [c]. See ncnn's documentation, "param
and model file structure" and "operation param weight table".
"""

import math
import tempfile
from pathlib import Path

from vaka.serving.engines.engine import Unsuitable
from vaka.serving.engines.layers import fused, written
from vaka.serving.engines.ncnn import HEAD, LAYERS, WEIGHTS
from vaka.serving.engines.onnx_file import model_in
from vaka.serving.engines.onnx_runtime import simplify
from vaka.serving.engines.operators import layers_of
from vaka.serving.pb.onnx_graph_pb2 import GraphProto, ModelProto, TensorProto, ValueInfoProto

HEAVY = 100_000
"""Weights of a dense layer with which it is left to ONNX Runtime: about what a processor's cache holds."""
SEAMS = ("Flatten", "Reshape")
"""Where maps become the numbers of a row."""


def translate(graph: Path, folder: Path) -> None:
    """Write the graph of an ONNX file in ncnn's form. Unsuitable where it has none."""
    with tempfile.TemporaryDirectory(prefix="vaka-") as scratch:
        simplify(graph, simple := Path(scratch) / "simple.onnx")
        model = model_in(simple)
    first = data_input(model.graph)
    head = cut_head(model)
    layers = fused(layers_of(model.graph))
    (folder / LAYERS).write_text(written(layers, first, [output.name for output in model.graph.output]))
    (folder / WEIGHTS).write_bytes(b"".join(layer.weights for layer in layers))
    if head:
        (folder / HEAD).write_bytes(head.SerializeToString())


def data_input(graph: GraphProto) -> str:
    """The name of its one input. Unsuitable where there are others."""
    constants = {tensor.name for tensor in graph.initializer}
    names = [value.name for value in graph.input if value.name not in constants]
    if len(names) != 1:
        raise Unsuitable(f"the graph has {len(names)} inputs")
    return str(names[0])


def cut_head(model: ModelProto) -> ModelProto | None:
    """Take from the model what comes after its maps, if that is heavy and needs nothing else of it."""
    graph = model.graph
    seam = next((i + 1 for i, node in enumerate(graph.node) if node.op_type in SEAMS), len(graph.node))
    taken = {name for node in graph.node[seam:] for name in node.input}
    needed = taken | {output.name for output in graph.output}
    features = graph.node[seam - 1].output[0]
    before = {value.name for value in graph.input} | {n for node in graph.node[:seam] for n in node.output}
    heavy = any(math.prod(one.dims) >= HEAVY for one in graph.initializer if one.name in taken)
    if not heavy or needed & before != {features}:
        return None
    head = ModelProto()
    head.CopyFrom(model)
    del head.graph.node[:seam], head.graph.input[:], graph.node[seam:], graph.output[:]
    _keep_constants(head.graph)
    head.graph.input.append(_rows(features))
    graph.output.append(_rows(features))
    return head


def _keep_constants(graph: GraphProto) -> None:
    """Only those that the graph's nodes take."""
    taken = {name for node in graph.node for name in node.input}
    kept = [one for one in graph.initializer if one.name in taken]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _rows(name: str) -> ValueInfoProto:
    """A tensor FP32 [rows, numbers]."""
    value = ValueInfoProto(name=name)
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    for size in ("rows", "numbers"):
        value.type.tensor_type.shape.dim.add(dim_param=size)
    return value

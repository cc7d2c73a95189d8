"""A trained network as a model folder."""

import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from vaka.artifacts.manifest import GRAPH, WEIGHTS
from vaka.artifacts.runtime import Predict, predictor
from vaka.models.architecture import Graph

TOLERANCE = 1e-4


class ExportError(Exception):
    """The exported graph does not give what the network gives."""


def export(graph: Graph, network: nn.Module, folder: Path) -> None:
    """Write graph and weights into the folder, and check that ONNX Runtime agrees with torch."""
    write_onnx(graph, folder / GRAPH)
    weights = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    check(graph, predictor(folder / GRAPH))


def write_onnx(graph: Graph, file: Path) -> None:
    """Export with a free batch dimension.

    By tracing: it takes half a second, where the exporter on torch.export takes ten or more.
    """
    inputs = [tensor.name for tensor in graph.signature.inputs]
    outputs = [tensor.name for tensor in graph.signature.outputs]
    free = {t.name: {0: "batch"} for t in (*graph.signature.inputs, *graph.signature.outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            graph.module.eval(),
            graph.example,
            file,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=free,
            dynamo=False,
        )


def check(graph: Graph, predict: Predict) -> None:
    """ExportError unless both give the same for the example and for a batch of another size."""
    for example in (graph.example, tuple(value[:1] for value in graph.example)):
        with torch.no_grad():
            result = graph.module(*example)
        expected = [result] if isinstance(result, torch.Tensor) else list(result)
        names = [tensor.name for tensor in graph.signature.inputs]
        found = predict({name: value.numpy() for name, value in zip(names, example, strict=True)})
        for tensor, values in zip(graph.signature.outputs, expected, strict=True):
            apart = float(np.abs(found[tensor.name] - values.numpy()).max())
            if not apart <= TOLERANCE:
                raise ExportError(
                    f"{tensor.name} of the exported graph is {apart:.2g} off: at most {TOLERANCE}"
                )

"""A trained network as a model folder."""

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from vaka.artifacts.manifest import GRAPH, WEIGHTS, Tensor
from vaka.artifacts.runtime import Predict, predictor
from vaka.models.architecture import Graph


class ExportError(Exception):
    """The exported graph does not give what the network gives."""


def export(graph: Graph, network: nn.Module, folder: Path) -> None:
    """Write graph, weights and files into the folder, and check that ONNX Runtime agrees with torch."""
    for name, content in graph.files.items():
        (folder / name).write_bytes(content)
    write_onnx(graph, folder / GRAPH)
    weights = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    check(graph, predictor(folder / GRAPH))


def write_onnx(graph: Graph, file: Path) -> None:
    """Export with the free dimensions of the signature.

    By tracing: it takes half a second, where the exporter on torch.export takes ten or more.
    """
    inputs = [tensor.name for tensor in graph.signature.inputs]
    outputs = [tensor.name for tensor in graph.signature.outputs]
    free = {t.name: _free(t) for t in (*graph.signature.inputs, *graph.signature.outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and what might depend on the example `check` tries out
        torch.onnx.export(
            graph.module.eval(),
            graph.example,
            file,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=free,
            dynamo=False,
        )


def _free(tensor: Tensor) -> dict[int, str]:
    """Names of the free dimensions; the first is the same in all tensors."""
    names = {i: f"{tensor.name}_{i}" for i, size in enumerate(tensor.shape) if size == -1}
    return names | ({0: "batch"} if 0 in names else {})


def check(graph: Graph, predict: Predict) -> None:
    """ExportError unless both give the same for the example and for a batch of another size."""
    for example in (graph.example, tuple(value[:1] for value in graph.example)):
        with torch.no_grad():
            result = graph.module(*example)
        expected = [result] if isinstance(result, torch.Tensor) else list(result)
        names = [tensor.name for tensor in graph.signature.inputs]
        found = predict({name: value.numpy() for name, value in zip(names, example, strict=True)})
        for tensor, values in zip(graph.signature.outputs, expected, strict=True):
            if (apart := _distance(found[tensor.name], values.numpy())) > graph.tolerance:
                raise ExportError(
                    f"{tensor.name} of the exported graph is {apart:.2g} off: at most {graph.tolerance}"
                )


def _distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference; infinite where shapes differ or one is no number."""
    if a.shape != b.shape:
        return math.inf
    apart = float(np.abs(a.astype(float) - b.astype(float)).max(initial=0.0))
    return math.inf if math.isnan(apart) else apart

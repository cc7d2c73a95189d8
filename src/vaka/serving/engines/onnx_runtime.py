"""ONNX Runtime, which runs every graph."""

from pathlib import Path
from typing import TYPE_CHECKING

from vaka.artifacts.errors import ModelInvalid
from vaka.artifacts.signature import signature_of
from vaka.artifacts.tensors import Array
from vaka.models.pipeline import Arrays
from vaka.serving.engines.engine import EngineName
from vaka.serving.errors import BadRequest

if TYPE_CHECKING:
    from onnxruntime import SessionOptions  # type: ignore[import-untyped]


class OnnxRuntime:
    """A session on the CPU.

    One intra-op thread by default: a second one doubles the CPU time of a small model for no answer sooner.
    ModelInvalid where the graph is none.
    """

    name: EngineName = "onnxruntime"

    def __init__(self, graph: Path, *, threads: int = 1) -> None:
        from onnxruntime import InferenceSession

        try:
            self._session = InferenceSession(graph, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no base class of their own
            raise ModelInvalid(f"{graph} cannot be loaded as ONNX: {error}") from error
        self.signature = signature_of(self._session)

    def run(self, outputs: list[str], inputs: Arrays) -> list[Array]:
        """See `vaka.serving.engines.engine.Engine`."""
        try:
            results: list[Array] = self._session.run(outputs, dict(inputs))
        except Exception as error:  # a graph may refuse values that its signature allows, such as an index
            raise BadRequest(f"the model fails on this input: {error}") from error
        return results


def simplify(graph: Path, to: Path) -> None:
    """Write the graph with constants computed and normalisations made a part of convolutions."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession

    options = _options(1)
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(to)
    InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _options(threads: int) -> "SessionOptions":
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    return options

"""What all engines have in common."""

from typing import Literal, Protocol, TypeAlias

from vaka.artifacts.tensors import Array
from vaka.models.pipeline import Arrays

EngineName: TypeAlias = Literal["onnxruntime", "ncnn"]


class Engine(Protocol):
    """Runs one graph, in one thread at a time."""

    name: EngineName

    def run(self, outputs: list[str], inputs: Arrays) -> list[Array]:
        """These outputs of the graph; BadRequest where it cannot compute such values."""


class Unsuitable(Exception):
    """The engine does not take this graph, or not on this machine."""

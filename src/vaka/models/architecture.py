"""What an architecture is to the rest: the interfaces between models, training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from numpy.typing import NDArray

from vaka.artifacts.manifest import ImageInput, Manifest, Signature
from vaka.artifacts.runtime import Predict

if TYPE_CHECKING:  # servers, which need what is said of graphs, start without these
    from torch import Tensor, nn

    from vaka.api.architectures.base import Measure
    from vaka.api.dataset import DatasetSpec

Metrics = dict[str, float]
Inputs = Mapping[str, NDArray[Any]]
"""What a published graph takes, by name."""


class Data(Protocol):
    """A data set as its architecture reads it; `notes` are what a person should know of it."""

    @property
    def notes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What is exported: a module from what a pipeline gives it to what the pipeline makes answers of.

    Every -1 of the signature is a dimension of any size. The module gives a tensor, or a tuple of them in the
    order of the signature.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    """Two rows or more."""
    signature: Signature
    labels: list[str]
    image: ImageInput | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the pipeline has to know, in JSON's terms."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What else the pipeline reads from the model folder, by name."""
    tolerance: float = 1e-4
    """By how much ONNX Runtime may differ from torch."""


def _itself(counted: Tensor) -> Tensor:
    return counted


@dataclass(frozen=True)
class Part:
    """What one of several processes does of each batch, which is the same whatever their number."""

    rank: int = 0
    of: int = 1
    total: Callable[[Tensor], Tensor] = _itself
    """The sum over all processes of what each has found in its part."""

    def slice(self, samples: int, piece: int = 0, pieces: int = 1) -> slice:
        """This process' own samples, or a piece of them: contiguous, as equal in number as can be."""
        number, of = self.rank * pieces + piece, self.of * pieces
        return slice(samples * number // of, samples * (number + 1) // of)

    def most(self, samples: int) -> int:
        """Samples of the largest part: all go as many rounds as it needs, as a sharded network demands."""
        return -(-samples // self.of)


class Learner(Protocol):
    """One training run: network, data and what is to be learned. Deterministic given its seed.

    Whatever is random in a step is drawn from generators seeded by seed and step, so that a run that goes on
    from a checkpoint draws the same.
    """

    network: nn.Module
    replica: nn.Module
    """What is called in the place of the network while it is trained, where processes train together."""
    part: Part
    steps_per_epoch: int
    samples_per_step: int
    pieces: int
    """In how many pieces a step's batch is computed."""
    measure: Measure
    """Of what `validate` finds, the number that decides which epoch is best."""

    @property
    def data(self) -> Data:
        """What it learns from."""

    def loss(self, step: int, piece: int = 0) -> Tensor:
        """The loss (a scalar) on a piece of this step's batch: what it adds to the mean over the whole batch.

        The batch depends on seed and step alone.
        """

    def validate(self, network: nn.Module) -> Metrics:
        """How good the network is on the validation data."""

    def graph(self, network: nn.Module) -> Graph:
        """The network as it is to be published."""

    def test(self, predict: Predict) -> Metrics:
        """The same measure of the published graph, for its manifest."""

    def samples(self) -> list[Inputs]:
        """Inputs of the training data, from which the ranges of a graph in int8 are found."""


class Published(NamedTuple):
    """A model folder and what its manifest says."""

    folder: Path
    manifest: Manifest


class Architecture(Protocol):
    """A folder below vaka.models. Only `learner` may import torch."""

    TASK: str

    def read(self, source: Path, spec: DatasetSpec, scratch: Path) -> Data:
        """The data set to train on; DatasetError where it is broken."""

    def learner(self, data: Any, hyperparameters: Any, device: str) -> Learner:
        """A training run on that data."""

    def calibration(
        self, model: Published, source: Path, spec: DatasetSpec, scratch: Path
    ) -> tuple[list[Inputs], Callable[[Predict], Metrics]]:
        """For a published model what its learner's `samples` and `test` are, on any data set of its task."""

    def evaluate(
        self, predict: Predict, model: Published, source: Path, options: Evaluation
    ) -> dict[str, Any]:
        """The measures of the task for a published model, on any data set of its task."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `vaka evaluate` was asked."""

    format: str
    options: Any
    """Of the data set: what the architecture's OPTIONS hold."""
    split: str
    scratch: Path
    """Where archives are unpacked."""
    horizon: int | None = None
    """Of a forecast, in steps; None: the model's own."""
    start: str | None = None
    """The time from which on a series is forecast; None: where its last part begins."""

"""What the settings of every built-in architecture have in common."""

from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

Positive: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Fraction: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
Part: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
OptimizerName: TypeAlias = Literal["adamw", "muon"]


class Hyperparameters(msgspec.Struct, rename="camel", kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the training loop needs to know, whatever it trains."""

    epochs: Positive = 15
    batch_size: Positive = 128
    learning_rate: Annotated[float, Meta(gt=0, le=10)] = 0.01
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.05
    optimizer: OptimizerName = "adamw"
    """muon: kernels of convolutions move in all directions alike (Jordan et al. 2024), the rest by AdamW."""
    ema_decay: Fraction = 0.99
    max_grad_norm: Annotated[float, Meta(gt=0)] | None = None
    """Gradients whose norm over all weights is larger are scaled down to it (Pascanu et al. 2013)."""
    accumulate_steps: Positive = 1
    """In how many pieces, one after the other, a step's batch is computed: less memory, the same `batchSize`.

    The gradients are those of the whole batch, except that batch normalisation takes the mean and variance
    of each piece.
    """
    patience: Positive | None = None
    """Training stops after as many epochs without a better validation measure."""
    keep_best: bool = False
    """Publish the averaged weights of the epoch that validated best; otherwise, those of the last."""
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0


class Measure(NamedTuple):
    """The number that decides which epoch, and which trial of a search, is best."""

    name: str
    goal: Literal["maximize", "minimize"] = "maximize"

    @property
    def sign(self) -> int:
        """What to multiply values with so that the larger is the better."""
        return 1 if self.goal == "maximize" else -1


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of an architecture whose data needs no explanation."""

"""The optimizers, by their names in `spec.model.hyperparameters.optimizer`."""

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor, nn

from vaka.api.architectures.base import Hyperparameters
from vaka.training.adamw import AdamW
from vaka.training.muon import Muon
from vaka.training.shards import is_shard, local


class Optimizer(Protocol):
    """Moves weights against their gradients."""

    steps: int
    """How many it has made."""

    def tensors(self) -> dict[str, Tensor]:
        """What it remembers, by name, as it is: with `steps`, the whole state."""

    def step(self, rate: float) -> None:
        """Move against the gradients, and forget them."""


def optimizer(network: nn.Module, hyper: Hyperparameters) -> Optimizer:
    """The one that is asked for, with nothing to remember yet."""
    weights = {name: p for name, p in network.named_parameters() if p.requires_grad}
    kinds: dict[str, type[AdamW] | type[Muon]] = {"adamw": AdamW, "muon": Muon}
    return kinds[hyper.optimizer](weights, weight_decay=hyper.weight_decay)


@torch.no_grad()
def clip(weights: Iterable[nn.Parameter], most: float, total: Callable[[Tensor], Tensor]) -> None:
    """Scale the gradients down to a norm of at most that; `total` sums over processes with shards."""
    found = [p.grad for p in weights if p.grad is not None]
    gradients = [local(gradient) for gradient in found]
    square = torch.stack(torch._foreach_norm(gradients)).square().sum()
    norm = (total(square) if any(map(is_shard, found)) else square).sqrt()
    torch._foreach_mul_(gradients, (most / norm).clamp(max=1.0))

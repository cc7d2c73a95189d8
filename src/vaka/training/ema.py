"""Exponential moving average of a network's weights."""

import copy
from functools import cached_property

import torch
from torch import Tensor, nn

from vaka.training.shards import local


class WeightAverage:
    """Keeps `network`, whose weights and batch statistics follow those of the trained one.

    The decay rises with the steps, so that the random weights of the start are soon forgotten
    (as in Tan and Le, "EfficientNet", 2019).
    """

    def __init__(self, trained: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(trained).eval().requires_grad_(False)
        self._trained = trained
        self._decay = decay
        self.steps = 0

    @cached_property
    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Own tensor and trained one; not before the first update, for until then both may be sharded."""
        pairs = zip(_state(self.network), _state(self._trained), strict=True)
        return [(local(own), local(other)) for own, other in pairs if own.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the trained network's weights as they are now."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        own, other = zip(*self._pairs, strict=True)
        torch._foreach_lerp_(own, other, 1 - decay)


def _state(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]

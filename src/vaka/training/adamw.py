"""An optimizer for weights of any kind."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vaka.training.shards import local

BETAS = (0.9, 0.99)
EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), for all weights in a few calls.

    Matrices and kernels decay; biases and normalisation stay free. torch.optim has the same, but its
    constructor loads torch's compiler, which takes longer than the rest of torch.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], *, weight_decay: float) -> None:
        self._names = list(weights)
        self._parameters = list(weights.values())
        self._means = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]
        self._weight_decay = weight_decay
        # Each number is moved by itself: so it is enough to move what this process holds.
        self._weights = [local(p) for p in self._parameters]
        self._decayed = [local(p) for p in self._parameters if p.ndim > 1]
        self._mean = [local(m) for m in self._means]
        self._square = [local(s) for s in self._squares]
        self.steps = 0

    def tensors(self) -> dict[str, Tensor]:
        """The moving averages by name, as they are: with `steps`, the whole state."""
        kinds = {"mean": self._means, "square": self._squares}
        return {
            f"{kind}.{name}": value
            for kind, values in kinds.items()
            for name, value in zip(self._names, values, strict=True)
        }

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move against the gradients, and forget them."""
        gradients = [local(p.grad) for p in self._parameters if p.grad is not None]
        self.steps += 1
        toward, spread = (1 - beta**self.steps for beta in BETAS)
        if self._decayed:
            torch._foreach_mul_(self._decayed, 1 - rate * self._weight_decay)
        torch._foreach_lerp_(self._mean, gradients, 1 - BETAS[0])
        torch._foreach_mul_(self._square, BETAS[1])
        torch._foreach_addcmul_(self._square, gradients, gradients, 1 - BETAS[1])
        scale = torch._foreach_sqrt(self._square)
        torch._foreach_div_(scale, spread**0.5)
        torch._foreach_add_(scale, EPSILON)
        torch._foreach_addcdiv_(self._weights, self._mean, scale, -rate / toward)
        for parameter in self._parameters:
            parameter.grad = None

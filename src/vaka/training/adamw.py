"""The optimizer."""

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.99)
EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), for all weights in a few calls.

    Matrices and kernels decay; biases and normalisation stay free. torch.optim has the same, but its
    constructor loads torch's compiler, which takes longer than the rest of torch.
    """

    def __init__(self, network: nn.Module, *, weight_decay: float) -> None:
        self._weights: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self._decayed = [p for p in self._weights if p.ndim > 1]
        self._weight_decay = weight_decay
        self._mean = [torch.zeros_like(p) for p in self._weights]
        self._square = [torch.zeros_like(p) for p in self._weights]
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move against the gradients, and forget them."""
        gradients = [p.grad for p in self._weights if p.grad is not None]
        self._steps += 1
        toward, spread = (1 - beta**self._steps for beta in BETAS)
        if self._decayed:
            torch._foreach_mul_(self._decayed, 1 - rate * self._weight_decay)
        torch._foreach_lerp_(self._mean, gradients, 1 - BETAS[0])
        torch._foreach_mul_(self._square, BETAS[1])
        torch._foreach_addcmul_(self._square, gradients, gradients, 1 - BETAS[1])
        scale = torch._foreach_sqrt(self._square)
        torch._foreach_div_(scale, spread**0.5)
        torch._foreach_add_(scale, EPSILON)
        torch._foreach_addcdiv_(self._weights, self._mean, scale, -rate / toward)
        for weight in self._weights:
            weight.grad = None

"""A convolution whose gradients take less time on some processors."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.grad import conv2d_input

from vaka.models.precision import cpu_has_amx

Gradients = tuple[Tensor | None, Tensor | None, None, None]


class Convolution(nn.Conv2d):
    """A kernel of 3x3 without bias over features [n, inputs, h, w], which come out of the same size / stride.

    To learn kernels that are large beside their maps, oneDNN adds to all of one in memory for each picture.
    With AMX that takes twice as long as all else they do; one product of matrices for all pictures takes a
    third of it.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        if self.training and torch.is_autocast_enabled("cpu") and self._by_product(input):
            half = input.bfloat16(), self.weight.bfloat16()
            output: Tensor = ByProduct.apply(*half, self.stride[0], self.padding[0])
            return output
        return super().forward(input)

    def _by_product(self, features: Tensor) -> bool:
        """Measured: quicker from twice as many channels as pixels, and without AMX no quicker at all."""
        height, width = features.shape[2:]
        pixels = height * width // self.stride[0] ** 2
        return self.out_channels >= 2 * pixels and cpu_has_amx()


class ByProduct(Function):
    """A convolution whose kernel, a square one, learns by a product of matrices."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(features, kernel)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(features, kernel, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        features, kernel = ctx.saved_tensors
        how = ctx.stride, ctx.padding
        of_features = of_kernel = None
        if ctx.needs_input_grad[0]:
            of_features = conv2d_input(features.shape, kernel, gradient, *how)  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            of_kernel = _of_kernel(features, gradient, kernel.shape[2], *how)
        return of_features, of_kernel, None, None


def _of_kernel(features: Tensor, gradient: Tensor, side: int, stride: int, padding: int) -> Tensor:
    """The gradient [outputs, inputs, side, side] of a kernel, from that of what it made.

    Columns of the matrix are what it saw from one place [side, side, inputs] (Chellapilla et al., "High
    Performance Convolutional Neural Networks for Document Processing", 2006), as channels_last has it.
    """
    padded = functional.pad(features.permute(0, 2, 3, 1), (0, 0, *2 * (padding, padding)))
    seen = padded.unfold(1, side, stride).unfold(2, side, stride).permute(0, 1, 2, 4, 5, 3)
    product = gradient.permute(0, 2, 3, 1).flatten(0, 2).T @ seen.flatten(3).flatten(0, 2)
    return product.view(-1, side, side, features.shape[1]).permute(0, 3, 1, 2)

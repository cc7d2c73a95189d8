"""An optimizer that moves whole kernels in all their directions alike."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from vaka.training.adamw import AdamW
from vaka.training.shards import local, resharded, whole_here

MOMENTUM = 0.9
SIZE = 0.1
"""Root of the mean square of a move, at a learning rate of one: less than what AdamW moves by."""
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Jordan's coefficients: they bring singular values near one, not to it, in few iterations."""
TINY = 1e-14
"""Beside the square of a gradient's size: one of zeros moves nothing."""
COLOURS = 3


class Muon:
    """Nesterov's momentum, made orthogonal, for kernels; AdamW for all else (Jordan et al. 2024).

    A gradient moves a kernel mostly along a few directions; orthogonal, it moves as far in the rare ones.
    Moves have the same size for kernels of all shapes (Liu et al. 2025), so that learning rate and decay are
    AdamW's. Kernels are those of convolutions that take features: the first and the head are no such maps.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], *, weight_decay: float) -> None:
        kernels = {name: p for name, p in weights.items() if p.ndim == 4 and p.shape[1] > COLOURS}
        self._names = list(kernels)
        self._kernels = list(kernels.values())
        self._momenta = [torch.zeros_like(p) for p in self._kernels]
        self._weight_decay = weight_decay
        self._others = AdamW(
            {name: p for name, p in weights.items() if name not in kernels}, weight_decay=weight_decay
        )

    @property
    def steps(self) -> int:
        return self._others.steps

    @steps.setter
    def steps(self, number: int) -> None:
        self._others.steps = number

    def tensors(self) -> dict[str, Tensor]:
        """The momenta, and what AdamW remembers of the other weights."""
        momenta = zip(self._names, self._momenta, strict=True)
        return self._others.tensors() | {f"momentum.{name}": momentum for name, momentum in momenta}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move against the gradients, and forget them."""
        self._others.step(rate)
        if not self._kernels:
            return
        moves = self._orthogonal(self._directions())
        weights = [local(p) for p in self._kernels]
        torch._foreach_mul_(weights, 1 - rate * self._weight_decay)
        torch._foreach_add_(weights, moves, alpha=-rate * SIZE)
        for kernel in self._kernels:
            kernel.grad = None

    def _directions(self) -> list[Tensor]:
        """Where each kernel is to go, all of it."""
        gradients = [p.grad for p in self._kernels if p.grad is not None]
        own = [local(gradient) for gradient in gradients]
        momenta = [local(momentum) for momentum in self._momenta]
        torch._foreach_lerp_(momenta, own, 1 - MOMENTUM)
        torch._foreach_lerp_(own, momenta, MOMENTUM)
        return [whole_here(gradient) for gradient in gradients]

    def _orthogonal(self, directions: list[Tensor]) -> list[Tensor]:
        """What this process holds of the moves."""
        moves = []
        matrices = [_matrix(direction) for direction in directions]
        for kernel, made in zip(self._kernels, orthogonal(matrices), strict=True):
            size = max(made.shape) ** 0.5
            moves.append(resharded(_kernel(made * size, kernel.shape), kernel))
        return moves


def _matrix(kernel: Tensor) -> Tensor:
    """A row for each output; its columns come as channels_last has them in memory, for all are alike."""
    return kernel.permute(0, 2, 3, 1).flatten(1)


def _kernel(matrix: Tensor, shape: torch.Size) -> Tensor:
    outputs, inputs, height, width = shape
    return matrix.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """To each matrix [rows, columns] nearly the nearest with orthonormal rows (or columns, if fewer).

    Singular values come between 0.7 and 1.2, which is as good (Jordan et al. 2024), by Newton-Schulz: each
    iteration multiplies by a polynomial of the square. As those commute, they are multiplied first, which for
    long matrices costs less, and for all with as many rows together; it takes single precision, for squares
    of small values to be of use.
    """
    turned = [matrix.shape[0] > matrix.shape[1] for matrix in matrices]
    wide = [matrix.mT if turn else matrix for matrix, turn in zip(matrices, turned, strict=True)]
    alike: dict[int, list[int]] = defaultdict(list)
    for index, matrix in enumerate(wide):
        alike[len(matrix)].append(index)
    made: dict[int, Tensor] = {}
    for indexes in alike.values():
        factors = _factors(torch.stack([wide[index] @ wide[index].mT for index in indexes]))
        made |= {index: factor @ wide[index] for index, factor in zip(indexes, factors, strict=True)}
    return [made[index].mT if turn else made[index] for index, turn in enumerate(turned)]


def _factors(squares: Tensor) -> Tensor:
    """What to multiply matrices by, of whose products with themselves [n, rows, rows] these are."""
    norms = squares.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None] + TINY
    square = squares / norms
    product = polynomial = _polynomial(square)
    for _ in range(ITERATIONS - 1):
        square = polynomial @ square @ polynomial
        polynomial = _polynomial(square)
        product = polynomial @ product
    return product * norms.rsqrt()


def _polynomial(square: Tensor) -> Tensor:
    first, third, fifth = QUINTIC
    polynomial = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
    polynomial.diagonal(dim1=1, dim2=2).add_(first)
    return polynomial

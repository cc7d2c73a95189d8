"""An optimizer that moves whole kernels in all their directions alike."""

from collections import defaultdict
from collections.abc import Mapping

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
        """What this process holds of the moves; kernels of one shape are computed together."""
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for index, direction in enumerate(directions):
            alike[direction.shape].append(index)
        moves: dict[int, Tensor] = {}
        for shape, indexes in alike.items():
            matrices = torch.stack([directions[index].flatten(1) for index in indexes])
            longer = max(matrices.shape[1:])
            made = orthogonal(matrices) * longer**0.5
            moves |= {index: move.view(shape) for index, move in zip(indexes, made, strict=True)}
        return [resharded(moves[index], kernel) for index, kernel in enumerate(self._kernels)]


def orthogonal(matrices: Tensor) -> Tensor:
    """To each matrix [n, rows, columns] nearly the nearest with orthonormal rows (or columns, if fewer).

    Singular values come between 0.7 and 1.2, which is as good (Jordan et al. 2024), by Newton-Schulz: each
    iteration multiplies by a polynomial of the square. As those commute, they are multiplied first, which for
    long matrices costs less; it takes single precision, for squares of small values to be of use.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    square = x @ x.mT
    product = polynomial = _polynomial(square)
    for _ in range(ITERATIONS - 1):
        square = polynomial @ square @ polynomial
        polynomial = _polynomial(square)
        product = polynomial @ product
    made: Tensor = product @ x
    return made


def _polynomial(square: Tensor) -> Tensor:
    first, third, fifth = QUINTIC
    polynomial = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
    polynomial.diagonal(dim1=1, dim2=2).add_(first)
    return polynomial

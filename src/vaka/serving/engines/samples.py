"""Inputs made up to try a graph with, and whether two have given the same for them."""

import numpy as np

from vaka.artifacts.manifest import Signature, Tensor
from vaka.artifacts.tensors import DTYPES, Array


def noise(signature: Signature, rows: int, *, largest: float = 1.0, seed: int = 0) -> dict[str, Array]:
    """Numbers of 0 to `largest`; by default small enough to be an index. Other free dimensions are 1."""
    chance = np.random.default_rng(seed)
    return {tensor.name: _noise(tensor, rows, largest, chance) for tensor in signature.inputs}


def alike(a: Array, b: Array, *, near_zero: float = 1e-5) -> bool:
    """Whether they differ by no more than the order of sums explains."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.allclose(a, b, rtol=1e-3, atol=near_zero)) if a.dtype.kind == "f" else bool((a == b).all())


def _noise(tensor: Tensor, rows: int, largest: float, chance: np.random.Generator) -> Array:
    dtype = DTYPES[tensor.datatype]
    numbers = largest * chance.random(tensor.shape_of(rows))
    return numbers.astype(dtype) if dtype.kind == "f" else numbers.round().astype(dtype)

"""Inputs made up to try a graph with, and whether two have given the same for them."""

import numpy as np

from vaka.artifacts.manifest import Signature, Tensor
from vaka.artifacts.tensors import DTYPES, Array


def noise(signature: Signature, rows: int, *, largest: float = 1.0, seed: int = 0) -> dict[str, Array]:
    """Numbers of 0 to `largest`; by default small enough to be an index. Other free dimensions are 1."""
    chance = np.random.default_rng(seed)
    return {tensor.name: _noise(tensor, rows, largest, chance) for tensor in signature.inputs}


def alike(a: Array, b: Array) -> bool:
    """Whether they differ by no more than the order of sums explains."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool((a == b).all())
    near_zero = 1e-5 * max(1.0, float(np.abs(a).max(initial=0.0)))
    return bool(np.allclose(a, b, rtol=1e-3, atol=near_zero))


def _noise(tensor: Tensor, rows: int, largest: float, chance: np.random.Generator) -> Array:
    dtype = DTYPES[tensor.datatype]
    shape = [rows if i == 0 and size == -1 else max(size, 1) for i, size in enumerate(tensor.shape)]
    numbers = largest * chance.random(shape)
    return numbers.astype(dtype) if dtype.kind == "f" else numbers.round().astype(dtype)

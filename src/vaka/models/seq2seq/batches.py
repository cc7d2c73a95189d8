"""Which pairs come at which step, and their subwords as tensors of one length."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaka.models.seq2seq.tokens import PAD

Tokens = NDArray[np.int64]
_SPREAD = 0.1
"""By how much lengths are varied, so that it is not always the same pairs that share a batch."""


def padded(rows: Sequence[Sequence[int]], length: int = 0) -> Tokens:
    """Rows as int64 [n, length], with PAD behind them; without a length, that of the longest, at least 1."""
    longest = length or max(1, *(len(row) for row in rows))
    result = np.full((len(rows), longest), PAD, np.int64)
    for row, values in zip(result, rows, strict=True):
        row[: len(values)] = values
    return result


class Batches:
    """Pairs of about the same length in each batch, so that little is computed on padding.

    The order is another one in each epoch, and depends on seed and epoch alone. What does not fill a batch is
    left out of its epoch: other pairs each time.
    """

    def __init__(self, lengths: Sequence[int], size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._seed = seed
        self.size = min(size, len(lengths))
        self.count = len(lengths) // self.size
        self._newest: tuple[int, Tokens] | None = None

    def of(self, step: int) -> Tokens:
        """Numbers of the pairs of this step, int64 [size]."""
        epoch, place = divmod(step, self.count)
        if self._newest is None or self._newest[0] != epoch:
            self._newest = (epoch, self._epoch(epoch))
        batch: Tokens = self._newest[1][place]
        return batch

    def _epoch(self, epoch: int) -> Tokens:
        random = np.random.default_rng((self._seed, epoch))
        chosen = random.permutation(len(self._lengths))[: self.count * self.size]
        about = self._lengths[chosen] * random.uniform(1 - _SPREAD, 1 + _SPREAD, len(chosen))
        batches = chosen[np.argsort(about, kind="stable")].reshape(self.count, self.size)
        return random.permutation(batches)

"""Which samples come when, and seeds for what is random: by numbers that a run always has."""

import numpy as np
import torch
from torch import Generator, Tensor


class Order:
    """The order of the samples, another one in each epoch; it depends on seed and epoch alone."""

    def __init__(self, samples: int, seed: int) -> None:
        self._samples = samples
        self._seed = seed
        self._newest: tuple[int, Tensor] | None = None

    def of(self, epoch: int) -> Tensor:
        """Permutation int64 [samples] of this epoch."""
        if self._newest is None or self._newest[0] != epoch:
            random = Generator().manual_seed(mixed(self._seed, epoch))
            self._newest = (epoch, torch.randperm(self._samples, generator=random))
        return self._newest[1]


def mixed(*numbers: int) -> int:
    """One seed of several numbers; generators look at its low 32 bits only, so all must be in them."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])

"""Which samples come when, and seeds for what is random: by numbers that a run always has."""

import numpy as np
import torch
from torch import Generator, Tensor


class Order:
    """The order of the samples, another one in each epoch, in batches; it depends on seed and epoch alone.

    What does not fill a batch waits for another epoch.

    Args:
        batch_size: samples of a step, fewer where there are not so many.
    """

    def __init__(self, samples: int, batch_size: int, seed: int) -> None:
        self._samples = samples
        self._seed = seed
        self.samples_per_step = min(batch_size, samples)
        self.steps_per_epoch = samples // self.samples_per_step
        self._newest: tuple[int, Tensor] | None = None

    def of(self, step: int) -> Tensor:
        """The samples of this step: int64 [samples_per_step]."""
        epoch, place = divmod(step, self.steps_per_epoch)
        first = place * self.samples_per_step
        return self._epoch(epoch)[first : first + self.samples_per_step]

    def _epoch(self, epoch: int) -> Tensor:
        """Permutation int64 [samples]."""
        if self._newest is None or self._newest[0] != epoch:
            random = Generator().manual_seed(mixed(self._seed, epoch))
            self._newest = (epoch, torch.randperm(self._samples, generator=random))
        return self._newest[1]


def mixed(*numbers: int) -> int:
    """One seed of several numbers; generators look at its low 32 bits only, so all must be in them."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])

"""Colours change, greys stay grey."""

import numpy as np
import torch

from vaka.models.yolo.colour import drawn, jitter


def matrices(count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn(np.random.default_rng(seed)) for seed in range(count)]))


def test_greys_stay_grey_and_within_their_range() -> None:
    grey = torch.linspace(0, 1, 20).view(1, 1, 1, 20).expand(50, 3, 1, 20)
    result = jitter(grey, matrices(50))
    assert (result.amax(1) - result.amin(1)).max() < 1e-5
    assert result.min() >= 0
    assert result.max() <= 1


def test_each_picture_has_its_own_change() -> None:
    colour = torch.tensor([0.6, 0.3, 0.2]).view(1, 3, 1, 1).expand(8, 3, 1, 1)
    assert len({tuple(one.flatten().tolist()) for one in jitter(colour, matrices(8))}) == 8


def test_the_seed_decides() -> None:
    assert torch.equal(matrices(3), matrices(3))

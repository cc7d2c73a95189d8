"""The network has the size that it is meant to have, and takes any picture of whole cells."""

import pytest
import torch
from torch import nn

from vaka.models.yolo.boxes import cells
from vaka.models.yolo.net import BINS, SIZES, Detector


def test_nano_has_at_most_three_million_weights() -> None:
    assert sum(p.numel() for p in Detector(SIZES["n"], 80).parameters()) <= 3_000_000


def test_the_sizes_grow() -> None:
    counts = [sum(p.numel() for p in Detector(SIZES[size], 3).parameters()) for size in "nsm"]
    assert counts == sorted(counts)


@pytest.mark.parametrize("side", [64, 96, 160])
def test_every_cell_tells_distances_and_classes(side: int) -> None:
    found = Detector(SIZES["n"], 7).eval()(torch.rand(2, 3, side, side))
    count = len(cells(side)[0])
    assert found.distances.shape == (2, count, 4, BINS)
    assert found.classes.shape == (2, count, 7)


def test_at_the_start_nothing_is_likely_and_boxes_are_of_a_few_cells() -> None:
    found = Detector(SIZES["n"], 3).eval()(torch.rand(1, 3, 64, 64))
    assert 0.002 < found.classes.sigmoid().mean() < 0.05
    expected = (found.distances.softmax(-1) * torch.arange(BINS)).sum(-1)
    assert 2 < expected.mean() < 4


def test_a_gradient_reaches_every_weight() -> None:
    network = Detector(SIZES["n"], 2)
    found = network(torch.rand(2, 3, 64, 64))
    (found.distances.square().sum() + found.classes.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_its_parts_can_be_sharded() -> None:
    """FSDP takes modules with a forward of their own; it shards the parts of a network one by one."""
    assert not any(isinstance(part, nn.ModuleList) for part in Detector(SIZES["n"], 2).children())

"""The loss is least for what is right."""

import torch
from torch import Tensor

from vaka.models.yolo.assigner import Objects
from vaka.models.yolo.boxes import cells
from vaka.models.yolo.losses import detection_loss, distribution_loss
from vaka.models.yolo.net import BINS, Found

CELLS = cells(64)
ONE = Objects(torch.tensor([[[8.0, 8, 40, 40]]]), torch.tensor([[1]]))


def itself(counted: Tensor) -> Tensor:
    return counted


def found(distance: int, likely: float) -> Found:
    """Every cell says the same distance to all sides, and that class 1 is so likely."""
    distances = torch.full((1, len(CELLS[0]), 4, BINS), -8.0)
    distances[..., distance] = 8.0
    classes = torch.full((1, len(CELLS[0]), 3), -6.0)
    classes[..., 1] = likely
    return Found(distances.requires_grad_(), classes.requires_grad_())


def test_a_box_that_fits_costs_less_than_one_that_does_not() -> None:
    near, far = (detection_loss(found(distance, 0.0), ONE, CELLS, itself) for distance in (2, 6))
    assert near < far


def test_a_picture_without_objects_asks_for_silence() -> None:
    nothing = Objects(torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.int64))
    quiet, loud = (detection_loss(found(2, likely), nothing, CELLS, itself) for likely in (-6.0, 3.0))
    assert 0 < quiet < loud
    loud.backward()  # type: ignore[no-untyped-call]


def test_a_distance_between_two_bins_wants_both() -> None:
    logits = torch.full((1, 4, BINS), -20.0)
    logits[..., 3] = logits[..., 4] = 0.0
    even, odd = (distribution_loss(logits, torch.full((1, 4), distance)) for distance in (3.5, 5.5))
    assert even < 0.7
    assert odd > 10


def test_distances_beyond_the_last_bin_count_as_the_last() -> None:
    logits = torch.zeros(1, 4, BINS)
    assert torch.isfinite(distribution_loss(logits, torch.full((1, 4), 99.0))).all()
    assert torch.isfinite(distribution_loss(logits, torch.full((1, 4), -3.0))).all()


def test_the_sum_over_processes_divides() -> None:
    alone = detection_loss(found(2, 0.0), ONE, CELLS, itself)
    of_two = detection_loss(found(2, 0.0), ONE, CELLS, lambda counted: counted * 2)
    assert torch.isclose(alone, of_two * 2)

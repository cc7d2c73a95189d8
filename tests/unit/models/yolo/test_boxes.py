"""The maths of boxes agrees with what one works out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vaka.models.yolo.boxes import cells, ciou, decode, iou
from vaka.models.yolo.net import BINS

numbers = st.floats(0, 100, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> Tensor:
    left, top = draw(numbers), draw(numbers)
    return torch.tensor([left, top, left + draw(numbers) + 1, top + draw(numbers) + 1])


def test_cells_are_counted_from_the_finest_map_on() -> None:
    centres, strides = cells(64)
    assert len(centres) == len(strides) == 8 * 8 + 4 * 4 + 2 * 2
    assert centres[0].tolist() == [4, 4]
    assert centres[1].tolist() == [12, 4]
    assert centres[-1].tolist() == [48, 48]
    assert strides.unique().tolist() == [8, 16, 32]


def test_a_distance_is_the_expected_bin_times_the_stride() -> None:
    logits = torch.full((1, 1, 4, BINS), -1e4)
    logits[..., 2] = logits[..., 3] = 0
    box = decode(logits, torch.tensor([[100.0, 60.0]]), torch.tensor([8.0]))
    assert box.tolist() == [[[80, 40, 120, 80]]]


def test_iou() -> None:
    a, b = torch.tensor([0.0, 0, 10, 10]), torch.tensor([5.0, 0, 15, 10])
    assert iou(a, b).item() == pytest.approx(50 / 150)


def test_ciou_is_less_by_distance_and_shape() -> None:
    a = torch.tensor([0.0, 0, 10, 10])
    apart = torch.tensor([20.0, 0, 30, 10])
    assert ciou(a, apart).item() == pytest.approx(-400 / 1000)
    assert ciou(a, torch.tensor([0.0, 2.5, 10, 7.5])).item() < 0.5


@given(boxes(), boxes())
def test_overlap_is_the_same_both_ways_and_ciou_never_more(a: Tensor, b: Tensor) -> None:
    assert iou(a, b).item() == pytest.approx(iou(b, a).item(), abs=1e-6)
    assert -1.6 <= ciou(a, b).item() <= iou(a, b).item() + 1e-6
    assert ciou(a, a).item() == pytest.approx(1, abs=1e-5)

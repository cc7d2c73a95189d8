"""The order of the samples."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from vaka.models.order import Order


@given(st.integers(1, 60), st.integers(1, 80))
def test_an_epoch_shows_no_sample_twice_and_as_many_as_fill_its_batches(samples, batch_size):
    order = Order(samples, batch_size, seed=5)
    shown = torch.cat([order.of(step) for step in range(order.steps_per_epoch)])
    assert len(set(shown.tolist())) == len(shown) == order.steps_per_epoch * order.samples_per_step
    assert samples - len(shown) < order.samples_per_step <= batch_size


def test_each_epoch_has_an_order_of_its_own_whatever_is_asked_between():
    order = Order(100, 100, seed=5)
    first, second = order.of(0), order.of(1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(order.of(0), first)


def test_the_order_depends_on_the_seed():
    assert not torch.equal(Order(100, 100, seed=5).of(0), Order(100, 100, seed=6).of(0))

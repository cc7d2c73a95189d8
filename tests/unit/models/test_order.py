"""The order of the samples."""

import torch

from vaka.models.order import Order


def test_an_epoch_is_every_sample_once_in_an_order_of_its_own() -> None:
    order = Order(samples=100, seed=5)
    first, second = order.of(0), order.of(1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(order.of(0), first)


def test_the_order_depends_on_the_seed() -> None:
    assert not torch.equal(Order(samples=100, seed=5).of(0), Order(samples=100, seed=6).of(0))

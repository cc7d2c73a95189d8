"""Optimizers and weight average do what their papers say."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from vaka.training.adamw import BETAS, EPSILON, AdamW
from vaka.training.ema import WeightAverage
from vaka.training.muon import SIZE, Muon, orthogonal
from vaka.training.optimizer import clip


def reference(weight: float, gradients: list[float], rate: float, decay: float) -> float:
    """Algorithm 2 of Loshchilov and Hutter, one number at a time."""
    mean = square = 0.0
    for step, gradient in enumerate(gradients, start=1):
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
        toward = mean / (1 - BETAS[0] ** step)
        spread = square / (1 - BETAS[1] ** step)
        weight -= rate * (toward / (spread**0.5 + EPSILON) + decay * weight)
    return weight


def test_adamw_follows_its_paper_and_spares_biases() -> None:
    layer = nn.Linear(3, 2).double()
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    optimizer = AdamW(dict(layer.named_parameters()), weight_decay=0.1)
    gradients = np.random.default_rng(0).normal(size=5).tolist()
    for gradient in gradients:
        for parameter in layer.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step(0.01)
    for name, parameter in layer.named_parameters():
        decay = 0.1 if name == "weight" else 0.0
        expected = before[name].apply_(lambda w, decay=decay: reference(w, gradients, 0.01, decay))
        assert torch.allclose(parameter, expected, atol=1e-12)


def test_gradients_are_used_once() -> None:
    layer = nn.Linear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    AdamW(dict(layer.named_parameters()), weight_decay=0.0).step(0.1)
    assert all(p.grad is None for p in layer.parameters())


@pytest.mark.parametrize("most", [0.5, 100.0])
def test_large_gradients_are_scaled_down_as_torch_does_it(most: float) -> None:
    layers = nn.Linear(3, 2), nn.Linear(3, 2)
    for layer in layers:
        for parameter in layer.parameters():
            parameter.grad = torch.arange(parameter.numel()).view_as(parameter).float()
    nn.utils.clip_grad_norm_(layers[0].parameters(), most)
    clip(layers[1].parameters(), most, lambda own: own)
    for expected, found in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert expected.grad is not None
        assert found.grad is not None
        assert torch.allclose(expected.grad, found.grad, atol=1e-5)


@given(
    rows=st.integers(1, 40), columns=st.integers(1, 40), size=st.floats(1e-6, 1e6), seed=st.integers(0, 99)
)
def test_a_matrix_is_made_nearly_orthogonal_and_keeps_its_directions(
    rows: int, columns: int, size: float, seed: int
) -> None:
    torch.manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows))
    right, _ = torch.linalg.qr(torch.randn(columns, columns))
    values = torch.linspace(1, 0.1, min(rows, columns))
    matrix = size * left[:, : len(values)] * values @ right[:, : len(values)].T
    found = left.T[: len(values)] @ orthogonal([matrix])[0] @ right[:, : len(values)]
    assert ((found.diagonal() > 0.6) & (found.diagonal() < 1.3)).all()
    assert torch.allclose(found, torch.diag(found.diagonal()), atol=1e-3)


def test_without_a_gradient_nothing_moves() -> None:
    assert not orthogonal([torch.zeros(3, 5)])[0].any()


def test_matrices_of_all_shapes_are_made_orthogonal_each_as_if_alone() -> None:
    matrices = [torch.randn(shape) for shape in ((3, 5), (7, 3), (3, 9), (5, 5), (3, 5))]
    for together, matrix in zip(orthogonal(matrices), matrices, strict=True):
        torch.testing.assert_close(together, orthogonal([matrix])[0])


def test_kernels_of_all_shapes_move_as_far_and_all_else_by_adamw() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 16, 3), nn.Conv2d(16, 4, 1), nn.Linear(4, 2))
    same = copy.deepcopy(layers)
    before = {name: p.detach().clone() for name, p in layers.named_parameters()}
    for p, q in zip(layers.parameters(), same.parameters(), strict=True):
        p.grad = torch.randn_like(p)
        q.grad = p.grad.clone()
    Muon(dict(layers.named_parameters()), weight_decay=0.0).step(0.01)
    AdamW(dict(same.named_parameters()), weight_decay=0.0).step(0.01)
    others = dict(same.named_parameters())
    for name, weight in layers.named_parameters():
        if name in ("1.weight", "2.weight"):
            moved = (weight - before[name]).square().mean().sqrt().item()
            assert moved == pytest.approx(0.01 * SIZE, rel=0.3)
        else:
            assert torch.equal(weight, others[name])
    assert all(p.grad is None for p in layers.parameters())


def network(value: float) -> nn.Module:
    net = nn.BatchNorm1d(1)
    return fill(net, value)


def fill(net: nn.Module, value: float) -> nn.Module:
    values: list[Tensor] = [*net.parameters(), *net.buffers()]
    with torch.no_grad():
        for tensor in values:
            if tensor.is_floating_point():
                tensor.fill_(value)
    return net


def test_the_average_forgets_its_start_and_then_moves_slowly() -> None:
    trained = network(0.0)
    average = WeightAverage(trained, decay=0.9)
    fill(trained, 1.0)
    seen = []
    for _ in range(200):
        average.update()
        seen.append(average.network.running_mean.item())  # type: ignore[union-attr, operator]
    assert seen[0] > 0.8
    assert seen == sorted(seen)
    fill(trained, 2.0)
    average.update()
    assert average.network.weight.item() == pytest.approx(1.1)  # type: ignore[union-attr, operator]


def test_the_average_is_a_network_of_its_own() -> None:
    trained = network(1.0)
    average = WeightAverage(trained, decay=0.9)
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())
    average.update()
    assert trained.training

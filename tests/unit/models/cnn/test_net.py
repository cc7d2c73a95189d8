"""The network takes images of any size and stays small."""

import pytest
import torch
from torch import Tensor, nn

from vaka.models.cnn.net import ConvNet


def network(
    channels: int = 1, side: int = 28, width: int = 32, depth: int = 1, *, full_size: bool = False
) -> ConvNet:
    statistics = {"mean": [100.0] * channels, "std": [100.0] * channels}
    size = {"width": width, "depth": depth, "full_size": full_size}
    return ConvNet(classes=7, shorter_side=side, **size, **statistics).eval()


@pytest.mark.parametrize("full_size", [False, True])
@pytest.mark.parametrize(
    ("channels", "height", "width"),
    [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 37, 120), (3, 96, 96), (1, 224, 300)],
)
def test_any_size_gives_logits(channels: int, height: int, width: int, full_size: bool) -> None:
    net = network(channels, min(height, width), 8, full_size=full_size)
    assert net(torch.rand(2, channels, height, width) * 255).shape == (2, 7)


def weights(net: ConvNet) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("side", [8, 28, 224])
def test_it_has_about_half_a_million_weights(side: int) -> None:
    assert 480_000 < weights(network(3, side)) < 520_000


def test_depth_adds_a_block_to_each_stage() -> None:
    assert 2 * weights(network(depth=2)) == weights(network(depth=1)) + weights(network(depth=3))
    assert network(width=8, depth=3)(torch.rand(2, 1, 8, 8)).shape == (2, 7)


def test_a_stage_at_full_size_comes_before_what_halves_it() -> None:
    features = network(depth=2, full_size=True).features
    seen = torch.rand(1, 1, 28, 28)
    for part in features[:3]:
        seen = part(seen)
    assert seen.shape == (1, 16, 28, 28)
    assert features[3](seen).shape == (1, 32, 14, 14)


def test_raw_values_are_normalised_inside() -> None:
    net = network()
    seen = net.normalize(torch.full((1, 1, 8, 8), 200.0))
    assert seen.unique().tolist() == [1.0]


@pytest.mark.parametrize("full_size", [False, True])
def test_a_gradient_reaches_every_weight(full_size: bool) -> None:
    net = network(width=8, full_size=full_size).train()
    net(torch.rand(4, 1, 28, 28) * 255).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_gradients_have_channels_last_like_what_they_are_of() -> None:
    net = network(width=8).to(memory_format=torch.channels_last).train()
    layouts = []

    def note(_module: nn.Module, _inputs: object, outputs: tuple[Tensor]) -> None:
        layouts.append(outputs[0].is_contiguous(memory_format=torch.channels_last))

    net.features[-1].change.register_full_backward_hook(note)
    net(torch.rand(4, 1, 28, 28) * 255).square().sum().backward()
    assert layouts == [True]

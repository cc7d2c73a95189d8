"""A small convolutional network for images of any size from 8x8."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaka.models.cnn.convolution import Convolution

LARGEST_INNER_SIDE = 40
"""Larger pictures are halved until their shorter side fits: features need no more resolution than this."""
STAGES = (1, 2, 4)
"""Each at half the size of the one before, and so many times `width` channels wide."""


def conv_block(inputs: int, outputs: int, *, stride: int = 1, pool: bool = False) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU (Simonyan and Zisserman 2015; Ioffe and Szegedy 2015).

    Pooling comes right after the convolution, so that what follows has a quarter to do.
    """
    layers: list[nn.Module] = [Convolution(inputs, outputs, stride=stride)]
    layers += [nn.MaxPool2d(2)] if pool else []
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Normalize(nn.Module):
    """Raw values 0..255 to zero mean and unit variance per channel, as part of the network itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


class Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(conv_block(channels, channels), conv_block(channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.change(features)
        return features + change


class ConvNet(nn.Module):
    """Raw images FP32 [n, channels, h, w] of 0..255 to logits [n, classes].

    Three stages of `depth` residual blocks, at a half, a quarter and an eighth of the size: most weights are
    where the maps are smallest and cost least. Global average pooling makes the head independent of the size.

    Args:
        full_size: whether there is a stage before them, at full size and with half as many channels.
    """

    def __init__(
        self,
        *,
        classes: int,
        width: int,
        depth: int,
        full_size: bool,
        shorter_side: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        channels = len(mean)
        layers: list[nn.Module] = []
        if full_size:
            layers.append(conv_block(channels, width // 2))
            channels = width // 2
            layers += [Residual(channels) for _ in range(depth)]
        layers.append(conv_block(channels, width, pool=True))
        while shorter_side > LARGEST_INNER_SIDE:
            layers.append(conv_block(width, width, stride=2))
            shorter_side //= 2
        channels = width
        for times in STAGES:
            if times > 1:
                layers.append(conv_block(channels, times * width, stride=2))
            channels = times * width
            layers += [Residual(channels) for _ in range(depth)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.features(self.normalize(image))
        if features.requires_grad:
            features.register_hook(_channels_last)  # type: ignore[no-untyped-call]
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


def _channels_last(gradient: Tensor) -> Tensor:
    """That of a mean has channels first in memory, and every layer before it would read it so, slowly."""
    return gradient.contiguous(memory_format=torch.channels_last)

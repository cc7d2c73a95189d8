"""A one-stage, anchor-free detector: CSP backbone, feature pyramid in both directions, decoupled head."""

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)
"""Pixels of the picture for each cell of the three maps that boxes are found on."""
BINS = 16
"""Distances from a cell to the sides of its box are told as a distribution over 0..15 strides."""
_PRIOR = 0.01
"""Probability of each class in each cell at the start (Lin et al., "Focal Loss", 2017, section 4.1)."""
_NARROW = 0.3
"""How much less likely each distance is at the start than the one before: some three strides are expected."""


class Size(NamedTuple):
    """How wide and how deep a network is."""

    width: int
    """Channels at half of the picture's size; they double with each halving, up to `most`."""
    depth: int
    most: int


SIZES = {"n": Size(16, 1, 256), "s": Size(32, 1, 512), "m": Size(48, 2, 576)}


class Found(NamedTuple):
    """What the network says of each cell, finest map first."""

    distances: Tensor
    """Logits FP32 [n, cells, 4, bins] of left, top, right, bottom, in strides."""
    classes: Tensor
    """Logits FP32 [n, cells, classes]."""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, SiLU."""
    return _activated(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False))


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution of each channel by itself, then one of 1x1 over all (Chollet, "Xception", 2017)."""
    each = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    return nn.Sequential(each, *_activated(nn.Conv2d(inputs, outputs, 1, bias=False)))


def _activated(convolution: nn.Conv2d) -> nn.Sequential:
    normalised = nn.BatchNorm2d(convolution.out_channels, eps=1e-3)
    return nn.Sequential(convolution, normalised, nn.SiLU(inplace=True))


class Residual(nn.Module):
    """A 3x3 convolution and a separable one, beside a shortcut or not (He et al. 2016).

    Two full ones see no more and take nearly twice as long.
    """

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.change = nn.Sequential(conv(channels, channels), separable(channels, channels))
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.change(features)
        return features + change if self.shortcut else change


class CSP(nn.Module):
    """Cross-stage partial block: half of the channels goes through residuals, each of which is kept.

    Wang et al., "CSPNet", 2020; that every residual is kept is of Wang et al., "ELAN", 2022.
    """

    def __init__(self, inputs: int, outputs: int, depth: int, *, shortcut: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.aside = conv(inputs, half, 1)
        self.into = conv(inputs, half, 1)
        self.residuals = nn.ModuleList(Residual(half, shortcut=shortcut) for _ in range(depth))
        self.join = conv((2 + depth) * half, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        parts = [self.aside(features), self.into(features)]
        for residual in self.residuals:
            parts.append(residual(parts[-1]))
        joined: Tensor = self.join(torch.cat(parts, 1))
        return joined


class SPPF(nn.Module):
    """Spatial pyramid pooling (He et al. 2015), its windows of 5, 9 and 13 by pooling what is pooled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.into = conv(channels, channels // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = conv(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        parts = [self.into(features)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        joined: Tensor = self.join(torch.cat(parts, 1))
        return joined


class Backbone(nn.Module):
    """Pictures to maps of 1/8, 1/16 and 1/32 of their size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        stem, *stages = self.channels = [min(size.width * 2**i, size.most) for i in range(5)]
        depths = [size.depth, 2 * size.depth, 2 * size.depth, 2 * size.depth]
        self.stem = conv(3, stem, stride=2)
        self.stages = nn.ModuleList()
        for before, channels, depth in zip([stem, *stages], stages, depths, strict=False):
            self.stages.append(
                nn.Sequential(conv(before, channels, stride=2), CSP(channels, channels, depth))
            )
        self.pool = SPPF(stages[-1])

    @property
    def first(self) -> nn.Conv2d:
        """The convolution that the pictures come to first."""
        return cast(nn.Conv2d, self.stem[0])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        quarter = self.stages[0](self.stem(image))
        eighth = self.stages[1](quarter)
        sixteenth = self.stages[2](eighth)
        return eighth, sixteenth, self.pool(self.stages[3](sixteenth))


class Pyramid(nn.Module):
    """What is seen at one size told to the others, downwards and up again (Liu et al., "PANet", 2018)."""

    def __init__(self, channels: list[int], depth: int) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")
        self.middle_down = CSP(coarse + middle, middle, depth, shortcut=False)
        self.fine = CSP(middle + fine, fine, depth, shortcut=False)
        self.fine_up = conv(fine, fine, stride=2)
        self.middle_up = CSP(fine + middle, middle, depth, shortcut=False)
        self.coarse_up = conv(middle, middle, stride=2)
        self.coarse = CSP(middle + coarse, coarse, depth, shortcut=False)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        between = self.middle_down(torch.cat([self.larger(coarse), middle], 1))
        fine = self.fine(torch.cat([self.larger(between), fine], 1))
        middle = self.middle_up(torch.cat([self.fine_up(fine), between], 1))
        return fine, middle, self.coarse(torch.cat([self.coarse_up(middle), coarse], 1))


class Head(nn.Module):
    """One map to distances and classes by branches of their own (Ge et al., "YOLOX", 2021)."""

    def __init__(self, channels: int, inner: int, classes: int) -> None:
        super().__init__()
        self.distances = _branch(channels, inner, 4 * BINS)
        self.classes = _branch(channels, inner, classes)
        _set_bias(self.distances, -_NARROW * torch.arange(BINS).repeat(4))
        _set_bias(self.classes, torch.full((classes,), math.log(_PRIOR / (1 - _PRIOR))))

    def forward(self, features: Tensor) -> Found:
        distances = self.distances(features).flatten(2).transpose(1, 2)
        return Found(distances.unflatten(2, (4, BINS)), self.classes(features).flatten(2).transpose(1, 2))


class Heads(nn.Module):
    """A head for each map, their findings side by side. A module of its own, so that it can be sharded."""

    def __init__(self, channels: list[int], inner: int, classes: int) -> None:
        super().__init__()
        self.each = nn.ModuleList(Head(one, inner, classes) for one in channels)

    def forward(self, *maps: Tensor) -> Found:
        found = [head(features) for head, features in zip(self.each, maps, strict=True)]
        distances, classes = zip(*found, strict=True)
        return Found(torch.cat(distances, 1), torch.cat(classes, 1))


def _branch(channels: int, inner: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(separable(channels, inner), separable(inner, inner), nn.Conv2d(inner, outputs, 1))


def _set_bias(branch: nn.Sequential, bias: Tensor) -> None:
    branch[-1].load_state_dict({"bias": bias}, strict=False)


class Detector(nn.Module):
    """Pictures [n, 3, h, w] of 0..1, their sides multiples of 32, to what is found in each cell."""

    def __init__(self, size: Size, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone(size)
        channels = self.backbone.channels[-3:]
        self.pyramid = Pyramid(channels, size.depth)
        inner = max(channels[0], 4 * BINS)
        self.heads = Heads(channels, inner, classes)

    def forward(self, image: Tensor) -> Found:
        found: Found = self.heads(*self.pyramid(*self.backbone(image)))
        return found

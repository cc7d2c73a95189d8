"""Augmentation of image batches as tensors: one random warp per picture, all on the batch's device."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far a picture may be changed. Lengths are fractions of the picture's side."""

    rotation: float = 0.0  # degrees
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    contrast: float = 0.0
    mirrored: bool = False
    padding: str = "border"


GREY = Augmentation(rotation=12, scale=0.12, shear=0.15, shift=0.08, elastic=0.04)
"""Digits, letters and the like: what a pen may do. Never mirrored, for that would change their meaning."""
COLOUR = Augmentation(rotation=8, scale=0.12, shift=0.1, contrast=0.2, mirrored=True, padding="reflection")
"""Photos."""


def augmentation_for(channels: int) -> Augmentation:
    return COLOUR if channels == 3 else GREY


def augment(images: Tensor, how: Augmentation, random: Generator) -> Tensor:
    """A changed copy of FP32 images [n, c, h, w]; values keep their range."""
    grid = affine_grid(len(images), images.shape[-2:], how, random)
    if how.elastic:
        grid = grid + elastic_field(len(images), images.shape[-2:], how.elastic, random)
    warped = functional.grid_sample(images, grid, padding_mode=how.padding, align_corners=False)
    return jitter(warped, how.contrast, random) if how.contrast else warped


def _uniform(count: int, limit: float, random: Generator) -> Tensor:
    return (torch.rand(count, generator=random, device=random.device) * 2 - 1) * limit


def affine_grid(count: int, size: torch.Size, how: Augmentation, random: Generator) -> Tensor:
    """Sampling grid [n, h, w, 2] of a random rotation, scaling, shear and shift for each picture."""
    angle = _uniform(count, math.radians(how.rotation), random)
    shear = _uniform(count, how.shear, random)
    scale_x, scale_y = (1 + _uniform(count, how.scale, random) for _ in range(2))
    if how.mirrored:
        scale_x = scale_x * torch.sign(_uniform(count, 1, random))
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([cos * scale_x, (shear - sin) * scale_x, _uniform(count, 2 * how.shift, random)], 1),
            torch.stack([sin * scale_y, cos * scale_y, _uniform(count, 2 * how.shift, random)], 1),
        ],
        1,
    )
    return functional.affine_grid(theta, [count, 1, *size], align_corners=False)


def elastic_field(count: int, size: torch.Size, limit: float, random: Generator) -> Tensor:
    """Smooth random displacements [n, h, w, 2] (Simard et al. 2003): coarse noise, interpolated."""
    coarse = (torch.rand((count, 2, 5, 5), generator=random, device=random.device) * 2 - 1) * (2 * limit)
    smooth = functional.interpolate(coarse, size=tuple(size), mode="bicubic", align_corners=False)
    return smooth.permute(0, 2, 3, 1)


def jitter(images: Tensor, limit: float, random: Generator) -> Tensor:
    """Contrast and brightness changed by up to `limit`, per picture."""
    contrast = 1 + _uniform(len(images), limit, random).view(-1, 1, 1, 1)
    brightness = 255 * _uniform(len(images), limit / 2, random).view(-1, 1, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 255)

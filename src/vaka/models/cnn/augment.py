"""Augmentation of image batches as tensors: one random warp per picture, all on the batch's device."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

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
    erased: float = 0.0  # how often a part of it is
    padding: str = "border"


GREY = Augmentation(rotation=12, scale=0.12, shear=0.15, shift=0.08, elastic=0.02)
"""Digits, letters and the like: what a pen may do. Never mirrored, for that would change their meaning."""
COLOUR = Augmentation(rotation=8, scale=0.12, shift=0.1, contrast=0.2, mirrored=True, padding="reflection")
"""Photos."""
WARPS = ("rotation", "scale", "shear", "shift", "elastic")
"""What of it moves pixels."""
COARSE = 5
"""Points of elastic noise along each side."""
ERASED, ERASED_RANGE = 0.3, 0.2
"""Sides of what is erased, as parts of the picture's: so much, and so much more or less."""


def augmentation_for(
    channels: int, *, mirror: bool | None = None, erase: float = 0.0, warp: float = 1.0
) -> Augmentation:
    """What suits pictures of that many channels.

    Args:
        mirror: whether pictures may be mirrored, where it is known better.
        erase: how often a part of a picture is erased.
        warp: how far it is warped, as a part of what is usual.
    """
    usual = COLOUR if channels == 3 else GREY
    warps = {name: warp * getattr(usual, name) for name in WARPS}
    return replace(usual, **warps, erased=erase, mirrored=usual.mirrored if mirror is None else mirror)


class Draws:
    """Random numbers for the pictures of a whole batch, of which this process sees its own part.

    All processes draw the same, so that the pictures do not depend on how many processes there are.
    """

    def __init__(self, random: Generator, total: int, own: slice | Tensor = slice(None)) -> None:
        self._random = random
        self._total = total
        self._own = own

    def uniform(self, limit: float, *shape: int) -> Tensor:
        """Numbers [own pictures, *shape] between -limit and limit."""
        size = (self._total, *shape)
        drawn = torch.rand(size, generator=self._random, device=self._random.device)
        return (drawn * 2 - 1)[self._own] * limit


def augment(images: Tensor, how: Augmentation, random: Draws) -> Tensor:
    """A changed copy of FP32 images [n, c, h, w]; values keep their range."""
    grid = affine_grid(images.shape[-2:], how, random)
    if how.elastic:
        grid = grid + elastic_field(images.shape[-2:], how.elastic, random)
    warped = functional.grid_sample(images, grid, padding_mode=how.padding, align_corners=False)
    changed = jitter(warped, how.contrast, random) if how.contrast else warped
    return erase(changed, how.erased, random) if how.erased else changed


def affine_grid(size: torch.Size, how: Augmentation, random: Draws) -> Tensor:
    """Sampling grid [n, h, w, 2] of a random rotation, scaling, shear and shift for each picture."""
    angle = random.uniform(math.radians(how.rotation))
    shear = random.uniform(how.shear)
    scale_x, scale_y = (1 + random.uniform(how.scale) for _ in range(2))
    if how.mirrored:
        scale_x = scale_x * torch.sign(random.uniform(1))
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([cos * scale_x, (shear - sin) * scale_x, random.uniform(2 * how.shift)], 1),
            torch.stack([sin * scale_y, cos * scale_y, random.uniform(2 * how.shift)], 1),
        ],
        1,
    )
    return functional.affine_grid(theta, [len(theta), 1, *size], align_corners=False)


def elastic_field(size: torch.Size, limit: float, random: Draws) -> Tensor:
    """Smooth random displacements [n, h, w, 2] (Simard et al. 2003): coarse noise, interpolated."""
    coarse = random.uniform(2 * limit, 2, COARSE, COARSE)
    down, across = (_bicubic(side, coarse.device) for side in size)
    return (down @ coarse @ across.mT).permute(0, 2, 3, 1)


@lru_cache(maxsize=2)
def _bicubic(side: int, device: torch.device) -> Tensor:
    """Matrix [side, COARSE] that interpolates: two products are a tenth of the time of torch's function."""
    unit = torch.eye(COARSE, device=device)[None, None]
    return functional.interpolate(unit, size=(side, COARSE), mode="bicubic", align_corners=False)[0, 0]


def jitter(images: Tensor, limit: float, random: Draws) -> Tensor:
    """Contrast and brightness changed by up to `limit`, per picture."""
    contrast = 1 + random.uniform(limit).view(-1, 1, 1, 1)
    brightness = 255 * random.uniform(limit / 2).view(-1, 1, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 255)


def erase(images: Tensor, likely: float, random: Draws) -> Tensor:
    """A rectangle of some pictures, a tenth to a half of each side, in their mean (Zhong et al. 2020).

    What is told by one part alone, such as a sleeve, is then learned from others as well.
    """
    middle, reach = random.uniform(1, 2), ERASED + ERASED_RANGE * random.uniform(1, 2)
    chosen = random.uniform(1) < 2 * likely - 1
    rows, columns = (
        (torch.linspace(-1, 1, side, device=images.device) - middle[:, i : i + 1]).abs()
        <= reach[:, i : i + 1]
        for i, side in enumerate(images.shape[-2:])
    )
    painted = rows[:, None, :, None] & columns[:, None, None, :] & chosen.view(-1, 1, 1, 1)
    return torch.where(painted, images.mean((1, 2, 3), keepdim=True), images)

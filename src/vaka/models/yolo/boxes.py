"""Boxes as tensors: [..., 4] of left, top, right, bottom in pixels."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from vaka.models.yolo.net import BINS, STRIDES

_SMALLEST = 1e-7


def cells(side: int) -> tuple[Tensor, Tensor]:
    """Centres [cells, 2] (x, y) and strides [cells] of all cells of a square of that side, in pixels."""
    centres, strides = [], []
    for stride in STRIDES:
        along = torch.arange(side // stride) + 0.5
        y, x = torch.meshgrid(along, along, indexing="ij")
        centres.append(torch.stack([x, y], -1).view(-1, 2) * stride)
        strides.append(torch.full((len(centres[-1]),), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def decode(distances: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Boxes [n, cells, 4] of distance logits [n, cells, 4, bins]: each distance is its expected value."""
    bins = torch.arange(BINS, dtype=distances.dtype, device=distances.device)
    expected = (functional.softmax(distances, -1) * bins).sum(-1) * strides[:, None]
    return torch.cat([centres - expected[..., :2], centres + expected[..., 2:]], -1)


def area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area that both cover; the leading dimensions broadcast."""
    smallest = torch.maximum(a[..., :2], b[..., :2])
    largest = torch.minimum(a[..., 2:], b[..., 2:])
    return (largest - smallest).clamp(min=0).prod(-1)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, 0..1; the leading dimensions broadcast."""
    both = intersection(a, b)
    return both / (area(a) + area(b) - both + _SMALLEST)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU, at most 1: less by how far the centres are apart and the shapes differ.

    Zheng et al., "Distance-IoU Loss", 2020, equations 7 to 11.
    """
    overlap = iou(a, b)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    diagonal = hull.square().sum(-1) + _SMALLEST
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).square().sum(-1)
    shapes = 4 / math.pi**2 * (_angle(a) - _angle(b)).square()
    with torch.no_grad():
        weight = shapes / (1 - overlap + shapes + _SMALLEST)
    return overlap - apart / diagonal - weight * shapes


def _angle(boxes: Tensor) -> Tensor:
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return torch.atan(width / (height + _SMALLEST))

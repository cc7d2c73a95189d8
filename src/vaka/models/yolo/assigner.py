"""Which cells are to find which objects: task-aligned assignment (Feng et al., "TOOD", 2021).

A cell answers for an object by how well it already finds it: score of the class and overlap of the box
together. So the cells that are trained to find are those that win at inference, too.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vaka.models.yolo.boxes import iou
from vaka.models.yolo.net import STRIDES

CELLS = 10
"""How many cells answer for an object at most."""
SCORE_POWER, OVERLAP_POWER = 0.5, 6.0
_SMALLEST = 1e-30


class Objects(NamedTuple):
    """The objects of a batch, padded to the most that a picture has: class -1 is none."""

    boxes: Tensor
    """FP32 [n, m, 4] in pixels."""
    classes: Tensor
    """INT64 [n, m]."""


class Assigned(NamedTuple):
    """What each cell is to say."""

    boxes: Tensor
    """FP32 [n, cells, 4] in pixels; of cells without an object, anything."""
    scores: Tensor
    """FP32 [n, cells, classes]: zero everywhere in cells without an object."""


@torch.no_grad()
def assign(boxes: Tensor, probabilities: Tensor, objects: Objects, centres: Tensor) -> Assigned:
    """Targets for predicted boxes [n, cells, 4] and class probabilities [n, cells, classes]."""
    n, cells, classes = probabilities.shape
    if not objects.classes.shape[1]:
        return Assigned(torch.zeros_like(boxes), torch.zeros_like(probabilities))
    overlaps = iou(objects.boxes[:, :, None], boxes[:, None]) * _near(objects, centres)  # [n, m, cells]
    own = objects.classes.clamp(min=0)[:, None].expand(n, cells, -1)
    scores = probabilities.gather(2, own).transpose(1, 2)
    alignment = scores.pow(SCORE_POWER) * overlaps.pow(OVERLAP_POWER)
    chosen = _alone(_best(alignment), overlaps)
    quality = _quality(alignment * chosen, overlaps * chosen)
    best, which = quality.max(1)  # [n, cells]
    targets = objects.boxes.gather(1, which[..., None].expand(-1, -1, 4))
    labels = objects.classes.clamp(min=0).gather(1, which)
    return Assigned(targets, functional.one_hot(labels, classes) * best[..., None])


def _near(objects: Objects, centres: Tensor) -> Tensor:
    """Whether a cell's centre lies in the object [n, m, cells]; what is smaller than a cell counts as one."""
    smallest, largest = objects.boxes[..., :2], objects.boxes[..., 2:]
    reach = ((largest - smallest) / 2).clamp(min=STRIDES[0] / 2)
    apart = (centres - (smallest + largest)[:, :, None] / 2).abs()
    return torch.logical_and((apart < reach[:, :, None]).all(-1), (objects.classes >= 0)[..., None])


def _best(alignment: Tensor) -> Tensor:
    """Mask of the best cells of each object; those whose boxes do not touch it are left out."""
    values, places = alignment.topk(min(CELLS, alignment.shape[-1]), -1)
    return torch.zeros_like(alignment, dtype=torch.bool).scatter(-1, places, values > 0)


def _alone(chosen: Tensor, overlaps: Tensor) -> Tensor:
    """The same, but each cell keeps only the object that its box covers best."""
    winner = (overlaps * chosen).argmax(1, keepdim=True)
    return chosen & torch.zeros_like(chosen).scatter(1, winner, True)


def _quality(alignment: Tensor, overlaps: Tensor) -> Tensor:
    """The score that a cell is to have: of an object's best cell its overlap, of others less by alignment."""
    best_overlap = overlaps.amax(-1, keepdim=True)
    best_alignment = alignment.amax(-1, keepdim=True)
    return alignment / best_alignment.clamp(min=_SMALLEST) * best_overlap

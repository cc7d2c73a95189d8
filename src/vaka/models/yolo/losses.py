"""What a detector is trained on: classes by cross-entropy, boxes by CIoU and by the spread of distances."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from vaka.models.yolo.assigner import Objects, assign
from vaka.models.yolo.boxes import ciou, decode
from vaka.models.yolo.net import BINS, Found

CLASS_WEIGHT, BOX_WEIGHT, DISTANCE_WEIGHT = 0.5, 7.5, 1.5


def detection_loss(
    found: Found, objects: Objects, cells: tuple[Tensor, Tensor], total: Callable[[Tensor], Tensor]
) -> Tensor:
    """The loss (a scalar) of a batch: a mean over its objects, each counted by how well it is found.

    Args:
        cells: centres [cells, 2] and strides [cells], in pixels.
        total: the sum over all processes that have a part of the batch.
    """
    centres, strides = cells
    boxes = decode(found.distances, centres, strides)
    aim = assign(boxes.detach(), found.classes.detach().sigmoid(), objects, centres)
    weights = aim.scores.sum(-1)
    classes = functional.binary_cross_entropy_with_logits(found.classes, aim.scores, reduction="sum")
    mine = weights > 0
    apart = 1 - ciou(boxes[mine], aim.boxes[mine])
    place, stride = (grid.expand(len(boxes), *grid.shape)[mine] for grid in (centres, strides[:, None]))
    sides = torch.cat([place - aim.boxes[mine][:, :2], aim.boxes[mine][:, 2:] - place], -1) / stride
    spread = distribution_loss(found.distances[mine], sides)
    own = weights[mine]
    loss = CLASS_WEIGHT * classes + (own * (BOX_WEIGHT * apart + DISTANCE_WEIGHT * spread)).sum()
    return loss / total(weights.sum()).clamp(min=1)


def distribution_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy [k] of logits [k, 4, bins] with the two bins around each distance [k, 4], by nearness.

    Li et al., "Generalized Focal Loss", 2020, equation 6.
    """
    wanted = distances.clamp(0, BINS - 1 - 1e-3)
    lower = wanted.floor()
    nearness = wanted - lower
    likely = functional.log_softmax(logits, -1)
    below, above = (likely.gather(-1, (lower.long() + i)[..., None])[..., 0] for i in (0, 1))
    return -((1 - nearness) * below + nearness * above).mean(-1)

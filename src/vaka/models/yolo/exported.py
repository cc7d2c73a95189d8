"""The network as it is used: from raw pixels to boxes and scores."""

import copy

import torch
from torch import Tensor, nn

from vaka.models.yolo.boxes import cells, decode
from vaka.models.yolo.net import Detector

WHITE = 255.0


class Exported(nn.Module):
    """Pictures uint8 [n, 3, side, side] to boxes [n, cells, 4], in parts of the side, and scores.

    Scores are the probability of each class [n, cells, classes].

    Args:
        white: what the network takes for the brightest.
    """

    def __init__(self, network: nn.Module, side: int, *, white: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self._factor = white / WHITE
        device = next(network.parameters()).device
        self.centres, self.strides = (part.to(device) / side for part in cells(side))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        pixels = image.float()
        found = self.network(pixels if self._factor == 1 else pixels * self._factor)
        boxes = decode(found.distances.float(), self.centres, self.strides)
        return boxes, found.classes.float().sigmoid()


def published(network: nn.Module, side: int) -> Exported:
    """The same in one multiplication less for each pixel: the first convolution does it."""
    own = copy.deepcopy(network).cpu().eval()
    assert isinstance(own, Detector)
    with torch.no_grad():
        own.backbone.first.weight /= WHITE
    return Exported(own, side, white=WHITE)

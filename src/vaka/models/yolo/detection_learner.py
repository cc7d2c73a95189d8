"""A training run of the detector: which pictures come at which step, the loss, the measures."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from vaka.api.architectures.yolo import MEASURE, YOLO
from vaka.artifacts.manifest import Signature
from vaka.artifacts.manifest import Tensor as TensorSpec
from vaka.artifacts.runtime import Predict
from vaka.data.detection.dataset import DetectionSet
from vaka.models.architecture import Graph, Inputs, Metrics, Part
from vaka.models.order import Order
from vaka.models.precision import autocast
from vaka.models.yolo import colour, evaluation
from vaka.models.yolo.augment import Augmentation, Sample, sample
from vaka.models.yolo.batches import Ahead, Batch, collated
from vaka.models.yolo.boxes import cells
from vaka.models.yolo.evaluation import BOXES, INPUT, MOST, PROTOCOL, SCORES, objects_in
from vaka.models.yolo.exported import WHITE, Exported, published
from vaka.models.yolo.letterbox import fitted, squared
from vaka.models.yolo.losses import detection_loss
from vaka.models.yolo.net import SIZES, Detector, Found
from vaka.models.yolo.nms import SERVED, Detections
from vaka.models.yolo.pixels import Pixels

VALIDATION_BATCH = 32
Step = tuple[int, int]
"""Number of the step, and of the piece of its batch."""
Made = tuple[Sample, NDArray[np.float32]]
"""A sample, and the colour matrix [3, 3] for its picture."""


class DetectionLearner:
    """See `vaka.models.architecture.Learner`."""

    measure = MEASURE

    def __init__(self, data: DetectionSet, hyper: YOLO, device: str) -> None:
        self.data = data
        self.hyper = hyper
        self._device = device
        self._pixels = Pixels(data.train, hyper.image_size)
        self._held_out = Pixels(data.validation, hyper.image_size)
        self._order = Order(len(data.train), hyper.batch_size, hyper.seed)
        self._ahead = Ahead()
        centres, strides = cells(hyper.image_size)
        self._cells = centres.to(device), strides.to(device)
        self.samples_per_step = self._order.samples_per_step
        self.steps_per_epoch = self._order.steps_per_epoch
        torch.manual_seed(hyper.seed)
        network: nn.Module = Detector(SIZES[hyper.size], len(data.classes))
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.replica: nn.Module = self.network
        self.part = Part()
        self.pieces = hyper.accumulate_steps

    def loss(self, step: int, piece: int = 0) -> Tensor:
        """The detection loss of a piece of this step's batch."""
        batch = self._batch(step, piece)
        found = self._found(self.replica, batch.images, batch.colours if self.hyper.colour_jitter else None)
        return detection_loss(found, batch.objects, self._cells, self.part.total) / self.pieces

    @torch.no_grad()
    def validate(self, network: nn.Module) -> Metrics:
        pictures = self.data.validation
        own = range(*self.part.slice(len(pictures)).indices(len(pictures)))
        rows = np.zeros((len(pictures), MOST, 6), np.float32)
        ready = Exported(network, self.hyper.image_size)
        for start in range(0, self.part.most(len(pictures)), VALIDATION_BATCH):
            some = own[start : start + VALIDATION_BATCH]
            for index, objects in zip(some, self._objects(ready, some), strict=True):
                rows[index, : len(objects.scores)] = np.column_stack(
                    [objects.boxes, objects.scores, objects.classes]
                )
        total = self.part.total(torch.from_numpy(rows).to(self._device)).cpu().numpy()
        return evaluation.measures(pictures, [_objects_of(row) for row in total], self.data.classes)

    def graph(self, network: nn.Module) -> Graph:
        side, classes = self.hyper.image_size, list(self.data.classes)
        count = len(self._cells[0])
        squares = np.stack([self._square(self._pixels, index % len(self._pixels)) for index in range(2)])
        return Graph(
            module=published(network, side),
            example=(torch.from_numpy(squares),),
            signature=Signature(
                inputs=[TensorSpec(name=INPUT, datatype="UINT8", shape=[-1, 3, side, side])],
                outputs=[
                    TensorSpec(name=BOXES, datatype="FP32", shape=[-1, count, 4]),
                    TensorSpec(name=SCORES, datatype="FP32", shape=[-1, count, len(classes)]),
                ],
            ),
            labels=classes,
            options={"score": SERVED.score, "overlap": SERVED.overlap, "most": SERVED.most},
        )

    def test(self, predict: Predict) -> Metrics:
        return evaluation.test(predict, self.data, self.hyper.image_size)

    def samples(self) -> list[Inputs]:
        return evaluation.samples(self.data, self.hyper.image_size)

    def _found(self, network: nn.Module, images: Tensor, colours: Tensor | None) -> Found:
        pixels = images.permute(0, 3, 1, 2).float() / WHITE
        if colours is not None:
            pixels = colour.jitter(pixels, colours)
        with autocast(self._device):
            found = network(pixels.contiguous(memory_format=torch.channels_last))
        return Found(*(part.float() for part in found))

    def _batch(self, step: int, piece: int) -> Batch:
        following = (step, piece + 1) if piece + 1 < self.pieces else (step + 1, 0)
        made = self._ahead.made((step, piece), following, self._parts)
        return collated([one for one, _ in made], [matrix for _, matrix in made]).to(self._device)

    def _parts(self, key: Step) -> list[Callable[[], Made]]:
        """What makes each sample of a piece of a step's batch."""
        step, piece = key
        own = self.part.slice(self.samples_per_step, piece, self.pieces)
        chosen = self._order.of(step).tolist()
        places = range(self.samples_per_step)[own]
        return [partial(self._sample, step, place, chosen[place]) for place in places]

    def _sample(self, step: int, place: int, index: int) -> Made:
        random = np.random.default_rng([self.hyper.seed, step, place])
        how, side = self._augmentation(step), self.hyper.image_size
        return sample(self._pixels, index, side, how, random), colour.drawn(random)

    def _augmentation(self, step: int) -> Augmentation:
        hyper = self.hyper
        early = step < hyper.mosaic_until * hyper.epochs * self.steps_per_epoch
        mosaic = hyper.mosaic if early else 0.0
        return Augmentation(mosaic=mosaic, zoom=hyper.zoom, shift=hyper.shift, mirror=hyper.mirror)

    def _objects(self, network: nn.Module, indices: Sequence[int]) -> list[Detections]:
        """What the network finds in held-out pictures, in their own pixels."""
        side, pictures = self.hyper.image_size, self.data.validation
        squares = [self._square(self._held_out, index) for index in indices]
        images = torch.from_numpy(np.array(squares, np.uint8).reshape(-1, 3, side, side))
        with autocast(self._device):
            boxes, scores = network(images.to(self._device).contiguous(memory_format=torch.channels_last))
        sizes = [(pictures[index].width, pictures[index].height) for index in indices]
        places = [(fitted(*size, side), *size) for size in sizes]
        return objects_in((boxes.cpu().numpy(), scores.cpu().numpy()), places, side, PROTOCOL)

    def _square(self, pixels: Pixels, index: int) -> NDArray[np.uint8]:
        return squared(Image.fromarray(pixels[index]), self.hyper.image_size)


def _objects_of(rows: NDArray[np.float32]) -> Detections:
    """The inverse of rows [k, 6] of box, score and class; rows of score 0 are none."""
    rows = rows[rows[:, 4] > 0]
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))

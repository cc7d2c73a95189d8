"""A training run of the image classifier: which images come at which step, the loss, the measures."""

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vaka.api.architectures.cnn import CNN, MEASURE
from vaka.artifacts.manifest import ImageInput, Signature
from vaka.artifacts.manifest import Tensor as TensorSpec
from vaka.artifacts.runtime import Predict
from vaka.data.dataset import Dataset, Images
from vaka.models.architecture import Graph, Inputs, Metrics, Part
from vaka.models.cnn import evaluation
from vaka.models.cnn.augment import Draws, augment, augmentation_for
from vaka.models.cnn.evaluation import INPUT, OUTPUT
from vaka.models.cnn.net import ConvNet
from vaka.models.order import Order, mixed
from vaka.models.precision import autocast

VALIDATION_BATCH = 512
VALIDATION_LOSS = "validationLoss"


class Classifier(nn.Module):
    """The network with the softmax that a published graph ends with."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return functional.softmax(self.network(image), dim=1)


class ImageLearner:
    """See `vaka.models.architecture.Learner`."""

    measure = MEASURE

    def __init__(self, data: Dataset, hyper: CNN, device: str) -> None:
        self.data = data
        self._hyper = hyper
        self._device = device
        self._augmentation = augmentation_for(
            data.train.shape.channels, mirror=hyper.mirror, erase=hyper.erase, warp=hyper.warp
        )
        self._targets = class_targets(data, hyper).to(device)
        self._random = Generator(device)
        self._order = Order(len(data.train), hyper.batch_size, hyper.seed)
        self.samples_per_step = self._order.samples_per_step
        self.steps_per_epoch = self._order.steps_per_epoch
        torch.manual_seed(hyper.seed)
        network: nn.Module = _network(data, hyper)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.replica: nn.Module = self.network
        self.part = Part()
        self.pieces = hyper.accumulate_steps

    def loss(self, step: int, piece: int = 0) -> Tensor:
        """Cross-entropy on the images of this piece of a step."""
        images, targets = self._batch(step, piece)
        with autocast(self._device):
            logits = self.replica(images)
        return functional.cross_entropy(logits.float(), targets, reduction="sum") / self.samples_per_step

    @torch.no_grad()
    def validate(self, network: nn.Module) -> Metrics:
        everything = self.data.validation
        images = everything[self.part.slice(len(everything))]
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        for start in range(0, self.part.most(len(everything)), VALIDATION_BATCH):
            pixels = torch.from_numpy(images.pixels[start : start + VALIDATION_BATCH])
            labels = torch.from_numpy(images.labels[start : start + VALIDATION_BATCH])
            with autocast(self._device):
                logits = network(self._images(pixels)).float()
            labels = labels.to(self._device)
            right = (logits.argmax(1) == labels).sum()
            loss = functional.cross_entropy(logits, labels, reduction="sum")
            sums += torch.stack([right, loss.double()])
        accuracy, loss = (self.part.total(sums) / len(everything)).tolist()
        return {MEASURE.name: accuracy, VALIDATION_LOSS: loss}

    def graph(self, network: nn.Module) -> Graph:
        shape = self.data.train.shape
        size = [shape.channels, shape.height, shape.width]
        example = torch.from_numpy(self.data.train.pixels[:2]).float()
        classes = list(self.data.classes)
        return Graph(
            module=Classifier(network).cpu().eval(),
            example=(example,),
            signature=Signature(
                inputs=[TensorSpec(name=INPUT, datatype="FP32", shape=[-1, *size])],
                outputs=[TensorSpec(name=OUTPUT, datatype="FP32", shape=[-1, len(classes)])],
            ),
            labels=classes,
            image=ImageInput(height=shape.height, width=shape.width, channels=shape.channels),
        )

    def test(self, predict: Predict) -> Metrics:
        return evaluation.test(predict, self.data)

    def samples(self) -> list[Inputs]:
        return evaluation.samples(self.data)

    def _batch(self, step: int, piece: int) -> tuple[Tensor, Tensor]:
        """Images [n, channels, h, w] and what is to be said of them [n, classes]."""
        batch = self.samples_per_step
        places = torch.arange(batch)[self.part.slice(batch, piece, self.pieces)]
        images, targets = self._samples(step, places)
        if self._hyper.mixup:
            others, theirs = self._samples(step, batch - 1 - places)
            share = mixup_shares(self._hyper.mixup, mixed(self._hyper.seed, step), batch)[places]
            share = share.to(self._device)[:, None]
            targets = theirs.lerp(targets, share)
            images = others.lerp(images, share[..., None, None])
        return images.contiguous(memory_format=torch.channels_last), targets

    def _samples(self, step: int, places: Tensor) -> tuple[Tensor, Tensor]:
        """The samples at these places of a step's batch: the same whatever others are asked for."""
        chosen = self._order.of(step)[places]
        images = self._images(torch.from_numpy(self.data.train.pixels)[chosen])
        if self._hyper.augment:
            self._random.manual_seed(mixed(self._hyper.seed, step))
            images = augment(images, self._augmentation, Draws(self._random, self.samples_per_step, places))
        return images, self._targets[torch.from_numpy(self.data.train.labels)[chosen]]

    def _images(self, pixels: Tensor) -> Tensor:
        return pixels.to(self._device).float()


def class_targets(data: Dataset, hyper: CNN) -> Tensor:
    """FP32 [classes, classes]: what the network shall say of an image of each class, times its weight.

    With label smoothing (Szegedy et al. 2016), a part of the certainty goes to all classes alike.
    """
    classes, smoothing = len(data.classes), hyper.label_smoothing
    targets = (1 - smoothing) * torch.eye(classes) + smoothing / classes
    if hyper.class_weights == "none":
        return targets
    counts = torch.from_numpy(np.bincount(data.train.labels, minlength=classes))
    return targets * (len(data.train) / (counts > 0).sum() / counts.clamp(min=1))[:, None]


def mixup_shares(alpha: float, seed: int, samples: int) -> Tensor:
    """FP32 [samples]: how much of each sample's blend is its own, of the distribution Beta(alpha, alpha)."""
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, samples).astype(np.float32))


def _network(data: Dataset, hyper: CNN) -> ConvNet:
    shape = data.train.shape
    mean, std = statistics(data.train)
    return ConvNet(
        classes=len(data.classes),
        width=hyper.width,
        depth=hyper.depth,
        full_size=hyper.full_size,
        shorter_side=min(shape.height, shape.width),
        mean=mean,
        std=std,
    )


def statistics(images: Images) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel; a constant channel counts as one of deviation 1.

    By counting how often there is each of the 256 values, for in floating point images need eight times
    the memory.
    """
    counts = np.zeros((images.shape.channels, 256), np.int64)
    for image in images.pixels:
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in image]
    values, number = np.arange(256), counts.sum(1)
    mean = counts @ values / number
    square = counts @ values**2 / number
    deviations = np.sqrt(np.maximum(square - mean**2, 0))
    return mean.tolist(), [deviation or 1.0 for deviation in deviations.tolist()]

"""A training run of the image classifier: which images come at which step, the loss, the measures."""

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
        self._augmentation = augmentation_for(data.train.shape.channels)
        self._random = Generator(device)
        self._order = Order(len(data.train), hyper.seed)
        self.samples_per_step = min(hyper.batch_size, len(data.train))
        self.steps_per_epoch = len(data.train) // self.samples_per_step
        torch.manual_seed(hyper.seed)
        network: nn.Module = _network(data, hyper)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.replica: nn.Module = self.network
        self.part = Part()
        self.pieces = hyper.accumulate_steps

    def loss(self, step: int, piece: int = 0) -> Tensor:
        """Cross-entropy with smoothed labels (Szegedy et al. 2016) on the images of this piece of a step."""
        images, labels = self._batch(step, piece)
        with autocast(self._device):
            logits = self.replica(images)
        smoothing = self._hyper.label_smoothing
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        return loss * (len(labels) / self.samples_per_step)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> Metrics:
        everything = self.data.validation
        images = everything[self.part.slice(len(everything))]
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        largest = -(-len(everything) // self.part.of)  # all go as many rounds, as a sharded network demands
        for start in range(0, largest, VALIDATION_BATCH):
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
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self.samples_per_step
        own = self.part.slice(self.samples_per_step, piece, self.pieces)
        chosen = self._order.of(epoch)[start : start + self.samples_per_step][own]
        images = self._images(torch.from_numpy(self.data.train.pixels)[chosen])
        if self._hyper.augment:
            self._random.manual_seed(mixed(self._hyper.seed, step))
            draws = Draws(self._random, self.samples_per_step, own)
            images = augment(images, self._augmentation, draws)
        labels = torch.from_numpy(self.data.train.labels)[chosen].to(self._device)
        return images.contiguous(memory_format=torch.channels_last), labels

    def _images(self, pixels: Tensor) -> Tensor:
        return pixels.to(self._device).float()


def _network(data: Dataset, hyper: CNN) -> ConvNet:
    shape = data.train.shape
    mean, std = _statistics(data.train)
    shorter = min(shape.height, shape.width)
    return ConvNet(classes=len(data.classes), width=hyper.width, shorter_side=shorter, mean=mean, std=std)


def _statistics(images: Images) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel; a constant channel counts as one of deviation 1."""
    values = images.pixels
    mean = values.mean(axis=(0, 2, 3), dtype=float)
    std = values.std(axis=(0, 2, 3), dtype=float)
    return mean.tolist(), [deviation or 1.0 for deviation in std.tolist()]

"""Convolutional image classifier."""

from typing import Annotated, Literal

from msgspec import Meta

from vaka.api.architectures.base import (
    Fraction,
    Hyperparameters,
    Measure,
    NoOptions,
    OptimizerName,
    Part,
    Positive,
)


class CNN(Hyperparameters, frozen=True):
    """Settings of the image classifier."""

    batch_size: Positive = 64
    optimizer: OptimizerName = "muon"
    label_smoothing: Fraction = 0.1
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: the fewer pictures a class has, the more each counts, so that all classes count alike."""
    mixup: Annotated[float, Meta(ge=0, le=10)] = 0.0
    """How much pairs of pictures and their classes are blended: alpha of Zhang et al. 2018; 0: not at all."""
    augment: bool = True
    warp: Annotated[float, Meta(ge=0, le=3)] = 1.0
    """How far augmentation turns, scales, shears, shifts and bends pictures, as a part of what is usual."""
    mirror: bool | None = None
    """Whether augmentation may mirror pictures; not said: those in colour only."""
    erase: Part = 0.0
    """How often augmentation erases a part of a picture, so that what is left has to tell."""
    width: Annotated[int, Meta(ge=4, le=512)] = 32
    """Channels of the first of three stages; the others have two and four times as many."""
    depth: Annotated[int, Meta(ge=1, le=16)] = 1
    """Residual blocks of each stage."""
    full_size: bool = False
    """Whether there is a stage before them at the picture's full size, with half as many channels."""


HYPERPARAMETERS = CNN
OPTIONS = NoOptions
FORMATS = ("idx", "imagefolder")
MEASURE = Measure("accuracy")

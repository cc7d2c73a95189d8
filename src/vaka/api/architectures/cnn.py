"""Convolutional image classifier."""

from typing import Annotated

from msgspec import Meta

from vaka.api.architectures.base import Fraction, Hyperparameters, Measure, NoOptions


class CNN(Hyperparameters, frozen=True):
    """Settings of the image classifier."""

    label_smoothing: Fraction = 0.1
    augment: bool = True
    width: Annotated[int, Meta(ge=4, le=512)] = 32


HYPERPARAMETERS = CNN
OPTIONS = NoOptions
FORMATS = ("idx", "imagefolder")
MEASURE = Measure("accuracy")

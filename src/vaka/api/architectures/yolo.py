"""Anchor-free one-stage object detector."""

from typing import Annotated, Literal

from msgspec import Meta

from vaka.api.architectures.base import Fraction, Hyperparameters, Measure, NoOptions, Part, Positive


class YOLO(Hyperparameters, frozen=True):
    """Settings of the detector."""

    epochs: Positive = 100
    batch_size: Positive = 8
    learning_rate: Annotated[float, Meta(gt=0, le=10)] = 0.0015
    ema_decay: Fraction = 0.999
    max_grad_norm: Annotated[float, Meta(gt=0)] | None = 10.0
    size: Literal["n", "s", "m"] = "n"
    """Nano, small or medium: 2, 9 or 19 million weights."""
    image_size: Annotated[int, Meta(ge=64, le=1280, multiple_of=32)] = 320
    """Pixels of the side of the square that pictures are fitted into."""
    mosaic: Part = 1.0
    """How often a training picture is put together of four."""
    mosaic_until: Part = 0.8
    """After this part of the training, pictures are shown alone, as they will be when the model is used."""
    zoom: Annotated[float, Meta(ge=0, le=0.9)] = 0.5
    """By how much larger or smaller training pictures are shown."""
    shift: Part = 0.1
    """How far they are moved, in parts of the square."""
    mirror: Part = 0.5
    """How often left and right are swapped. 0 where that would change what is seen, such as digits."""
    colour_jitter: bool = True
    """Whether hue, saturation and brightness of training pictures are changed."""


HYPERPARAMETERS = YOLO
OPTIONS = NoOptions
FORMATS = ("coco", "voc", "yolo")
MEASURE = Measure("map")

"""The card of a detector: pictures with what it finds in them, and how well it knows each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaka.artifacts.runtime import Predict
from vaka.data.detection.dataset import Picture
from vaka.models.card import Card, Section, Table, figure, png
from vaka.models.yolo.evaluation import BOXES, INPUT, SCORES, found_by, objects_in, per_class
from vaka.models.yolo.letterbox import letterbox
from vaka.models.yolo.nms import SERVED, Detections
from vaka.models.yolo.pixels import read

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vaka.models.yolo.detection_learner import DetectionLearner

ROWS, COLUMNS = 2, 4
LARGEST = 640
"""Pixels of the longer side of a picture of the card."""
_THIN = 0.8


def card(learner: DetectionLearner, predict: Predict) -> Card:
    """See `vaka.models.card.card_of`; all of it is of the validation pictures."""
    side = learner.hyper.image_size
    pictures, classes = learner.data.validation, list(learner.data.classes)
    precision = per_class(pictures, found_by(predict, pictures, side), classes)
    sections = [samples(pictures, classes, predict, side), table(pictures, precision, classes)]
    return Card(sections=sections, details={"perClassMap": precision})


def samples(pictures: list[Picture], classes: list[str], predict: Predict, side: int) -> Section:
    """Pictures spread over the data, with the objects that are found and those that should be."""
    chosen = np.unique(np.linspace(0, len(pictures) - 1, ROWS * COLUMNS).astype(int))
    drawn = figure(10, 2.6 * ROWS)
    grid = drawn.subplots(ROWS, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, chosen, strict=False):
        _draw(axes, pictures[index], _found(predict, pictures[index], side), classes)
    text = "Pictures spread over the validation data: solid what is found, dashed what there is to find."
    return Section(title="Sample predictions", text=text, picture=png(drawn), file="predictions")


def table(pictures: list[Picture], precision: dict[str, float], classes: list[str]) -> Section:
    """The classes that occur, the worst first."""
    counts = np.bincount(np.concatenate([p.classes for p in pictures]), minlength=len(classes))
    number = dict(zip(classes, counts.tolist(), strict=True))
    rows = [[name, number[name], precision[name]] for name in sorted(precision, key=precision.__getitem__)]
    columns = ["class", "objects", "average precision, IoU 0.50 to 0.95"]
    return Section(title="Classes", text="The worst first.", table=Table(columns=columns, rows=rows))


def _found(predict: Predict, picture: Picture, side: int) -> Detections:
    """As a server answers."""
    square, place = letterbox(read(picture), side)
    outputs = predict({INPUT: square[None]})
    size = (place, picture.width, picture.height)
    return objects_in((outputs[BOXES], outputs[SCORES]), [size], side, SERVED)[0]


def _draw(axes: Axes, picture: Picture, found: Detections, classes: list[str]) -> None:
    image = read(picture)
    image.thumbnail((LARGEST, LARGEST))
    axes.imshow(np.asarray(image), extent=(0, picture.width, picture.height, 0))
    for box in picture.boxes:
        _outline(axes, box.tolist(), "white", "--")
    for box, score, kind in zip(*found, strict=True):
        _outline(axes, box.tolist(), f"C{kind % 10}", "-")
        told = f"{classes[kind][:14]} {score:.0%}"
        axes.text(box[0], box[1], told, fontsize=6, color=f"C{kind % 10}", va="bottom", parse_math=False)


def _outline(axes: Axes, box: list[float], colour: str, style: str) -> None:
    left, top, right, bottom = box
    across, down = [left, right, right, left, left], [top, top, bottom, bottom, top]
    axes.plot(across, down, style, color=colour, linewidth=_THIN)

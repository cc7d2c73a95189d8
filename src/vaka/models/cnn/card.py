"""The card of an image classifier: pictures and what it says of them, and what it takes for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vaka.artifacts.runtime import Predict
from vaka.data.dataset import Images
from vaka.models.card import Card, Section, Table, figure, png
from vaka.models.cnn.evaluation import confusion, details, probabilities_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vaka.models.cnn.image_learner import ImageLearner

COLUMNS = 6
LARGEST_DRAWN = 30
"""A matrix of more classes would be a grey square."""


def card(learner: ImageLearner, predict: Predict) -> Card:
    """See `vaka.models.card.card_of`; all of it is of the validation images."""
    images, classes = learner.data.validation, list(learner.data.classes)
    probabilities = probabilities_of(predict, images)
    found = details(probabilities, images.labels, classes)
    counts = confusion(probabilities.argmax(1), images.labels, len(classes))
    sections = [samples(images, probabilities, classes), per_class(found, counts, classes)]
    if len(classes) <= LARGEST_DRAWN:
        sections.append(matrix(counts, classes))
    return Card(sections=sections, details=found)


def samples(images: Images, probabilities: NDArray[np.float32], classes: list[str]) -> Section:
    """A row of pictures spread over the data, and a row of those that the model was surest of and wrong."""
    wrong = (probabilities.argmax(1) != images.labels).nonzero()[0]
    surest = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:COLUMNS]
    spread = np.unique(np.linspace(0, len(images) - 1, COLUMNS).astype(int))
    rows = [chosen for chosen in (spread, surest) if len(chosen)]
    drawn = figure(8, 1.7 * len(rows))
    grid = drawn.subplots(len(rows), COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for row, chosen in zip(grid, rows, strict=True):
        for axes, i in zip(row, chosen, strict=False):
            _draw(axes, images.pixels[i])
            caption(axes, probabilities[i], int(images.labels[i]), classes)
    told = "Images spread over the validation data" + "; below, the surest of the mistakes." * (len(rows) > 1)
    return Section(title="Sample predictions", text=told, picture=png(drawn), file="predictions")


def caption(axes: Axes, probabilities: NDArray[np.float32], label: int, classes: list[str]) -> None:
    """What the model said and how surely; where that is wrong, what it should have said."""
    said = int(probabilities.argmax())
    text = f"{classes[said][:14]} {probabilities[said]:.0%}"
    text += "" if said == label else f"\nis {classes[label][:14]}"
    axes.set_title(text, fontsize=8, color="black" if said == label else "firebrick", parse_math=False)


def per_class(found: dict[str, Any], counts: NDArray[np.int64], classes: list[str]) -> Section:
    """A table of the classes, the worst first."""
    images = dict(zip(classes, counts.sum(1).tolist(), strict=True))
    recall, precision, f1 = (found[f"perClass{name}"] for name in ("Accuracy", "Precision", "F1"))
    rows = [
        [name, images[name], recall[name], precision[name], f1[name]]
        for name in sorted(recall, key=lambda name: (f1[name], name))
    ]
    columns = ["class", "images", "recall", "precision", "F1"]
    return Section(title="Classes", text="The worst first.", table=Table(columns=columns, rows=rows))


def matrix(counts: NDArray[np.int64], classes: list[str]) -> Section:
    """The confusion matrix, each row as parts of its class."""
    side = 2.5 + 0.3 * len(classes)
    drawn = figure(side, side)
    axes = drawn.subplots()
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(np.sqrt(parts), cmap="Blues", vmin=0, vmax=1)  # the root, to tell rare mistakes from none
    places = range(len(classes))
    names = [name[:14] for name in classes]
    axes.set_xticks(places, names, rotation=90, parse_math=False)
    axes.set_yticks(places, names, parse_math=False)
    axes.set(xlabel="taken for", ylabel="class")
    for i, j in np.argwhere(counts):
        colour = "white" if parts[i, j] > 0.4 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7, color=colour)
    return Section(title="Confusion matrix", picture=png(drawn), file="confusion")


def _draw(axes: Axes, pixels: NDArray[np.uint8]) -> None:
    """Pixels [channels, h, w]."""
    grey = len(pixels) == 1
    axes.imshow(pixels[0] if grey else pixels.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)

"""The card of a classifier shows what it was shown, even where classes are many or have odd names."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vaka.data.dataset import Dataset, Images
from vaka.models.card import Card
from vaka.models.cnn.card import card


def made(classes: tuple[str, ...], channels: int = 3, images: int = 40) -> Card:
    """The card of a model that says of each picture that it is of the class before the right one, if any."""
    labels = np.arange(images) % len(classes)
    pixels = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (images, channels, 8, 8))
    data = Dataset(shown := Images(pixels, labels), shown, classes)

    def predict(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        told = np.maximum(inputs["image"][:, 0, 0, 0].astype(int) - 1, 0)
        return {"probabilities": np.eye(len(classes), dtype=np.float32)[told]}

    return card(SimpleNamespace(data=data), predict)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_classes_and_confusions(channels: int) -> None:
    found = made(("zebra", "tiger"), channels)
    assert [section.title for section in found.sections] == [
        "Sample predictions",
        "Classes",
        "Confusion matrix",
    ]
    assert found.details["confusionMatrix"] == [[20, 0], [20, 0]]
    table = found.sections[1].table
    assert table
    assert [list(row) for row in table.rows] == [["tiger", 20, 0, 0, 0], ["zebra", 20, 1, 0.5, 2 / 3]]


def test_names_of_classes_are_no_formulas() -> None:
    assert made(("$a_", "\\alpha$", "^{")).sections[0].picture


def test_many_classes_have_no_matrix() -> None:
    found = made(tuple(str(i) for i in range(80)), images=160)
    assert len(found.sections) == 2
    assert found.details["commonestConfusions"][0] == {"class": "1", "takenFor": "0", "count": 2}
    assert len(found.details["commonestConfusions"]) == 79


def test_a_single_picture_is_enough() -> None:
    assert made(("a", "b"), images=1).sections[0].picture

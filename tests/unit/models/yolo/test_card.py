"""The card shows pictures with boxes and the classes, whatever is found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vaka.api.architectures.yolo import YOLO
from vaka.models.yolo.card import card
from vaka.models.yolo.detection_learner import DetectionLearner


@pytest.mark.parametrize("score", [0.0, 0.9])
def test_a_card_shows_pictures_and_classes(squares: Callable, score: float) -> None:  # type: ignore[type-arg]
    def predict(inputs: Any) -> Any:
        count = len(inputs["image"])
        boxes = np.tile(np.array([0.1, 0.1, 0.5, 0.5], np.float32), (count, 3, 1))
        return {"boxes": boxes, "scores": np.full((count, 3, 2), score, np.float32)}

    made = card(DetectionLearner(squares(4), YOLO(image_size=64, batch_size=2), "cpu"), predict)
    predictions, classes = made.sections
    assert predictions.picture is not None
    assert predictions.picture.startswith(b"\x89PNG")
    assert classes.table is not None
    assert {row[0] for row in classes.table.rows} == {"red", "blue"}
    assert set(made.details["perClassMap"]) == {"red", "blue"}

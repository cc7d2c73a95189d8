"""Scores agree with what one works out by hand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaka.api.architectures.base import NoOptions
from vaka.artifacts.read import graph_of, open_model
from vaka.artifacts.runtime import predictor
from vaka.data.dataset import DatasetError
from vaka.models.architecture import Evaluation, Published
from vaka.models.cnn.evaluation import details, evaluate, scores

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.0, 0.25, 0.75]], np.float32)
LABELS = np.array([0, 1, 2])


def test_scores() -> None:
    result = scores(PROBABILITIES, LABELS)
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert (result["top3Accuracy"], result["top5Accuracy"]) == (1, 1)
    assert result["loss"] == pytest.approx(-(math.log(0.7) + math.log(0.4) + math.log(0.75)) / 3)


def test_top5_counts_the_five_likeliest() -> None:
    probabilities = np.arange(10, dtype=np.float32)[None].repeat(10, 0) / 45
    assert scores(probabilities, np.arange(10))["top5Accuracy"] == 0.5


def test_certainty_in_the_wrong_class_costs_much_but_not_everything() -> None:
    assert 20 < scores(np.array([[1.0, 0.0]], np.float32), np.array([1]))["loss"] < 100


def test_a_class_that_is_rare_counts_as_much_in_balanced_accuracy() -> None:
    rare = np.array([[0.9, 0.1]] * 10, np.float32)
    assert scores(rare, np.array([0] * 9 + [1]))["balancedAccuracy"] == 0.5


def test_details_leave_out_classes_that_do_not_occur() -> None:
    assert details(PROBABILITIES, np.array([0, 1, 1]), ["a", "b", "c"]) == {
        "perClassAccuracy": {"a": 1.0, "b": 0.0},
        "perClassPrecision": {"a": 0.5, "b": 0.0},
        "perClassF1": {"a": pytest.approx(2 / 3), "b": 0.0},
        "confusionMatrix": [[1, 0, 0], [1, 0, 1], [0, 0, 0]],
    }


def test_a_matrix_of_many_classes_is_only_its_largest_entries() -> None:
    certain = np.eye(60, dtype=np.float32)[[0, 1, 1, 1]]
    found = details(certain, np.array([0, 0, 0, 2]), [str(i) for i in range(60)])
    assert found["commonestConfusions"] == [
        {"class": "0", "takenFor": "1", "count": 2},
        {"class": "2", "takenFor": "1", "count": 1},
    ]


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    for name, value in (("dark", 10), ("bright", 240)):
        (tmp_path / "data/test" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (9, 9), value).save(tmp_path / "data/test" / name / f"{i}.png")
    return tmp_path / "data"


def measured(model: Path, data: Path, scratch: Path, **options: str) -> dict[str, Any]:
    given: dict[str, Any] = {"format": "auto", "split": "auto"} | options
    asked = Evaluation(**given, options=NoOptions(), scratch=scratch)
    return evaluate(predictor(graph_of(model)), Published(model, open_model(model)), data, asked)


def test_a_published_model_is_measured_on_pictures_of_any_size(
    models: Any, shades: Path, tmp_path: Path
) -> None:
    model = models.brightness(tmp_path / "model")
    result = measured(model, shades, tmp_path)
    assert result["accuracy"] == 1
    assert result["perClassAccuracy"] == {"dark": 1.0, "bright": 1.0}
    assert result["count"] == 6
    assert result["notes"] == ["6 of 6 images were resized to 3x4"]


def test_an_unknown_format_names_those_known(models: Any, shades: Path, tmp_path: Path) -> None:
    model = models.brightness(tmp_path / "model")
    with pytest.raises(
        DatasetError, match="cannot be read as coco: known formats are auto, idx, imagefolder"
    ):
        measured(model, shades, tmp_path, format="coco")

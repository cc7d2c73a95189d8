"""The measures agree with what one works out by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.data.dataset import DatasetError
from vaka.data.detection.dataset import DetectionSet, Picture
from vaka.models.architecture import Evaluation, Published
from vaka.models.yolo.evaluation import evaluate, measures, per_class
from vaka.models.yolo.nms import Detections

Shades = Callable[..., DetectionSet]
CLASSES = ("red", "blue")


def perfect(pictures: list[Picture]) -> list[Detections]:
    return [Detections(p.boxes, np.ones(len(p.boxes), np.float32), p.classes) for p in pictures]


def nothing(pictures: list[Picture]) -> list[Detections]:
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    return [empty for _ in pictures]


def test_finding_all_is_one_and_nothing_is_zero(squares: Shades) -> None:
    pictures = squares().validation
    assert measures(pictures, perfect(pictures), CLASSES)["map"] == pytest.approx(1)
    assert measures(pictures, nothing(pictures), CLASSES)["map"] == 0


def test_a_box_that_overlaps_by_six_tenths_counts_up_to_there(squares: Shades) -> None:
    pictures = squares().validation
    found = perfect(pictures)
    shifted = []
    for one in found:
        side = one.boxes[:, 2] - one.boxes[:, 0]
        shifted.append(one._replace(boxes=one.boxes + np.stack([side * 0.24, side * 0] * 2, 1)))
    result = measures(pictures, shifted, CLASSES)  # IoU 0.76 / 1.24 = 0.613
    assert result["map50"] == pytest.approx(1)
    assert result["map75"] == 0
    assert result["map"] == pytest.approx(0.3)


def test_classes_that_do_not_occur_are_left_out(squares: Shades) -> None:
    pictures = squares().validation
    reds = [p for p in pictures if p.classes[0] == 0]
    assert per_class(reds, perfect(reds), CLASSES) == {"red": pytest.approx(1)}


def test_what_is_found_in_a_crowd_is_no_mistake(squares: Shades) -> None:
    pictures = squares().validation
    crowded = [
        replace(
            p, boxes=np.tile(p.boxes, (2, 1)), classes=np.tile(p.classes, 2), crowd=np.array([False, True])
        )
        for p in pictures
    ]
    assert measures(crowded, perfect(crowded), CLASSES)["map"] == pytest.approx(1)


@pytest.fixture
def folder(squares: Shades, tmp_path: Path) -> Path:
    """The pictures of the data set with YOLO labels: `red` is 0, `blue` 1."""
    data = squares(4)
    (tmp_path / "classes.txt").write_text("red\nblue\n")
    for p in [*data.train, *data.validation]:
        centre, size = (p.boxes[0, :2] + p.boxes[0, 2:]) / 2 / 64, (p.boxes[0, 2:] - p.boxes[0, :2]) / 64
        words = [p.classes[0], *centre, *size]
        p.file.with_suffix(".txt").write_text(" ".join(map(str, words)))
    return tmp_path


def sees_nothing(inputs: Any) -> Any:
    count = len(inputs["image"])
    return {"boxes": np.zeros((count, 5, 4), np.float32), "scores": np.zeros((count, 5, 2), np.float32)}


def published(*labels: str) -> Published:
    takes = [Tensor(name="image", datatype="UINT8", shape=[-1, 3, 64, 64])]
    signature = Signature(inputs=takes, outputs=[])
    manifest = Manifest(
        name="m", architecture="yolo", task="", signature=signature, labels=[*labels], files={}
    )
    return Published(Path(), manifest)


def asked(scratch: Path) -> Evaluation:
    return Evaluation(format="auto", options=None, split="auto", scratch=scratch)


def test_people_s_own_data_is_measured(folder: Path) -> None:
    result = evaluate(sees_nothing, published(*CLASSES), folder, asked(folder))
    assert result["map"] == 0
    assert (result["count"], result["objects"]) == (8, 8)
    assert result["perClassMap"] == {"red": 0, "blue": 0}


def test_a_class_that_the_model_does_not_know_is_named(folder: Path) -> None:
    with pytest.raises(DatasetError, match="has class blue: the model knows red, green"):
        evaluate(sees_nothing, published("red", "green"), folder, asked(folder))

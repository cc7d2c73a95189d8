"""How good a detector is, by COCO's protocol (cocodataset.org, "Detection evaluation")."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.api.dataset import DatasetSpec
from vaka.artifacts.runtime import Predict
from vaka.data.detection.dataset import DetectionSet, Picture, check_boxes, divide, relabel
from vaka.data.detection.load import read
from vaka.models.architecture import Evaluation, Inputs, Metrics, Published
from vaka.models.yolo.letterbox import Placement, fitted, letterbox
from vaka.models.yolo.nms import Detections, Suppression, suppress
from vaka.models.yolo.pixels import read as read_picture

INPUT = "image"
BOXES, SCORES = "boxes", "scores"
BATCH = 16
SAMPLES = 128
"""How many images show which values there are between the layers."""
MOST = 100
"""Objects of a picture that the protocol looks at."""
PROTOCOL = Suppression(score=0.001, overlap=0.65, most=MOST, several=True)
"""Recall is measured down to the unlikely, and a box that may be of two classes counts as both."""
_NAMES = {
    **{"map": "AP_all", "map50": "AP_50", "map75": "AP_75"},
    **{"mapSmall": "AP_small", "mapMedium": "AP_medium", "mapLarge": "AP_large"},
    "recall": "AR_third",
}


def measures(pictures: Sequence[Picture], found: Sequence[Detections], classes: Sequence[str]) -> Metrics:
    """Mean average precision over classes and IoU 0.50 to 0.95, at 0.50, at 0.75, by size, and recall.

    Args:
        found: for each picture its objects in its own pixels.

    Sizes that do not occur are left out.
    """
    return _summary(_evaluated(pictures, found, classes))


def per_class(
    pictures: Sequence[Picture], found: Sequence[Detections], classes: Sequence[str]
) -> dict[str, float]:
    """The average precision over IoU 0.50 to 0.95 of each class that occurs."""
    return _per_class(_evaluated(pictures, found, classes), classes)


def _evaluated(pictures: Sequence[Picture], found: Sequence[Detections], classes: Sequence[str]) -> Any:
    from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]

    truth = COCO(_annotated(pictures, classes))
    results = truth.loadRes(list(_results(found)))
    evaluation = COCOeval_faster(truth, results, iouType="bbox")
    evaluation.run()
    return evaluation


def _summary(evaluation: Any) -> Metrics:
    told = evaluation.stats_as_dict
    return {name: told[label] for name, label in _NAMES.items() if told[label] >= 0}


def _per_class(evaluation: Any, classes: Sequence[str]) -> dict[str, float]:
    precision = evaluation.eval["precision"][..., 0, -1]  # [overlaps, recalls, classes]
    means = np.where(precision > -1, precision, np.nan)
    occurs = (precision > -1).any(axis=(0, 1))
    return {classes[i]: float(np.nanmean(means[..., i])) for i in np.nonzero(occurs)[0].tolist()}


def _annotated(pictures: Sequence[Picture], classes: Sequence[str]) -> dict[str, Any]:
    images = [{"id": i, "width": p.width, "height": p.height} for i, p in enumerate(pictures)]
    annotations = [
        {"image_id": i, "category_id": int(kind), "iscrowd": int(crowd), **_as_coco(box)}
        for i, picture in enumerate(pictures)
        for box, kind, crowd in zip(picture.boxes, picture.classes, picture.crowd, strict=True)
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    categories = [{"id": i, "name": name} for i, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _results(found: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    for image, objects in enumerate(found):
        for box, score, kind in zip(*objects, strict=True):
            yield {"image_id": image, "category_id": int(kind), "score": float(score), **_as_coco(box)}


def _as_coco(box: NDArray[np.float32]) -> dict[str, Any]:
    left, top, right, bottom = box.tolist()
    width, height = right - left, bottom - top
    return {"bbox": [left, top, width, height], "area": width * height}


def objects_in(
    outputs: tuple[NDArray[np.float32], NDArray[np.float32]],
    places: Sequence[tuple[Placement, int, int]],
    side: int,
    how: Suppression,
) -> list[Detections]:
    """Objects in the pixels of each picture, of the graph's boxes and scores.

    Args:
        places: where each picture lies in the square, its width and its height.
    """
    return [
        objects._replace(boxes=place.unplaced(objects.boxes * np.float32(side), width, height))
        for objects, (place, width, height) in zip(suppress(*outputs, how), places, strict=True)
    ]


def found_by(predict: Predict, pictures: Sequence[Picture], side: int) -> list[Detections]:
    """What a published graph finds in each picture, for the protocol."""
    found: list[Detections] = []
    for start in range(0, len(pictures), BATCH):
        some = pictures[start : start + BATCH]
        squares = np.stack([letterbox(read_picture(picture), side)[0] for picture in some])
        outputs = predict({INPUT: squares})
        places = [(fitted(p.width, p.height, side), p.width, p.height) for p in some]
        found += objects_in((outputs[BOXES], outputs[SCORES]), places, side, PROTOCOL)
    return found


def test(predict: Predict, data: DetectionSet, side: int) -> Metrics:
    """The measures of a published graph on the validation data."""
    return measures(data.validation, found_by(predict, data.validation, side), data.classes)


def samples(data: DetectionSet, side: int) -> list[Inputs]:
    """Training pictures, spread evenly over the data."""
    chosen = np.linspace(0, len(data.train) - 1, min(SAMPLES, len(data.train))).astype(int)
    return [{INPUT: letterbox(read_picture(data.train[i]), side)[0][None]} for i in chosen]


def calibration(
    model: Published, source: Path, spec: DatasetSpec, scratch: Path
) -> tuple[list[Inputs], Callable[[Predict], Metrics]]:
    """Samples and test of a data set whose classes the model knows; DatasetError where they do not fit."""
    side = side_of(model)
    parts = read(source, format=spec.format, scratch=scratch)
    known = relabel(parts, tuple(model.manifest.labels), source)
    data = divide(known, source, validation_fraction=spec.validation_fraction, seed=spec.seed)
    return samples(data, side), lambda predict: test(predict, data, side)


def evaluate(predict: Predict, model: Published, source: Path, options: Evaluation) -> dict[str, Any]:
    """The measures on a data set whose classes the model knows; DatasetError where they do not fit."""
    labels = model.manifest.labels
    parts = read(source, format=options.format, scratch=options.scratch)
    pictures = relabel(parts, tuple(labels), source).choose(options.split, source)
    check_boxes(pictures, source, "there is nothing to measure by in these pictures")
    started = perf_counter()
    found = found_by(predict, pictures, side_of(model))
    seconds = perf_counter() - started
    evaluation = _evaluated(pictures, found, labels)
    return {
        **_summary(evaluation),
        "perClassMap": _per_class(evaluation, labels),
        "count": len(pictures),
        "objects": sum(picture.objects for picture in pictures),
        "samplesPerSecond": len(pictures) / seconds,
        "notes": list(parts.notes),
    }


def side_of(model: Published) -> int:
    """Pixels of the side of the square that the graph takes."""
    return model.manifest.signature.inputs[0].shape[2]

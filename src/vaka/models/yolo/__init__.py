"""Object detection with a one-stage, anchor-free network."""

from pathlib import Path

from vaka.api.architectures.yolo import YOLO
from vaka.api.dataset import DatasetSpec
from vaka.data.detection import load
from vaka.data.detection.dataset import DetectionSet, divide
from vaka.models.architecture import Learner
from vaka.models.yolo.evaluation import calibration, evaluate

__all__ = ["TASK", "calibration", "evaluate", "learner", "read"]

TASK = "object-detection"


def read(source: Path, spec: DatasetSpec, scratch: Path) -> DetectionSet:
    """Pictures with boxes from COCO JSON, VOC XML or YOLO txt, or an archive of them."""
    parts = load.read(source, format=spec.format, scratch=scratch)
    return divide(parts, source, validation_fraction=spec.validation_fraction, seed=spec.seed)


def learner(data: DetectionSet, hyperparameters: YOLO, device: str) -> Learner:
    """A training run on these pictures."""
    from vaka.models.yolo.detection_learner import DetectionLearner  # imports torch

    return DetectionLearner(data, hyperparameters, device)

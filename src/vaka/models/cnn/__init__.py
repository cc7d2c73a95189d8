"""Image classification with a small convolutional network."""

from pathlib import Path

from vaka.api.architectures.cnn import CNN
from vaka.api.dataset import DatasetSpec
from vaka.data.dataset import Dataset
from vaka.data.load import load
from vaka.models.architecture import Learner
from vaka.models.cnn.evaluation import calibration, evaluate

__all__ = ["TASK", "calibration", "evaluate", "learner", "read"]

TASK = "image-classification"


def read(source: Path, spec: DatasetSpec, scratch: Path) -> Dataset:
    """Images from IDX files, image folders or an archive of them."""
    return load(
        source,
        format=spec.format,
        validation_fraction=spec.validation_fraction,
        seed=spec.seed,
        scratch=scratch,
    )


def learner(data: Dataset, hyperparameters: CNN, device: str) -> Learner:
    """A training run on these images."""
    from vaka.models.cnn.image_learner import ImageLearner  # imports torch

    return ImageLearner(data, hyperparameters, device)

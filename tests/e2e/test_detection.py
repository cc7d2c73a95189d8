"""A detector from its example to a service, with real pods."""

from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text())


def test_a_detector_is_trained_and_served(namespace: Any) -> None:
    job = example("digit-scenes-yolo.yaml")
    job["spec"]["model"]["hyperparameters"] |= {"epochs": 1, "batchSize": 64}
    namespace.apply(job)
    namespace.apply(example("digit-scenes-yolo-service.yaml"))
    status = namespace.wait("tj/digit-scenes-yolo", "Complete", seconds=900)["status"]
    metrics = {metric["name"]: float(metric["value"]) for metric in status["model"]["metrics"]}
    assert {"map", "map50", "map75"} <= metrics.keys()
    namespace.wait("isvc/digit-scenes-yolo", "Ready", seconds=120)

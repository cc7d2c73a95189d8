"""Translation from one YAML to a service, with real pods."""

from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE = "Artikel 3"


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    return found


def test_a_translator_is_suspended_goes_on_and_is_served(namespace: Any) -> None:
    job = example("udhr-seq2seq.yaml")
    job["spec"]["model"]["hyperparameters"] |= {"epochs": 100, "width": 32, "beams": 2}
    namespace.apply(job)
    namespace.wait("tj/udhr-seq2seq", "Running", seconds=120)
    namespace.patch("tj/udhr-seq2seq", {"spec": {"suspend": True}})
    namespace.wait("tj/udhr-seq2seq", "Suspended", seconds=90)
    namespace.patch("tj/udhr-seq2seq", {"spec": {"suspend": False}})
    status = namespace.wait("tj/udhr-seq2seq", "Complete", seconds=400)["status"]
    metrics = {metric["name"]: float(metric["value"]) for metric in status["model"]["metrics"]}
    assert {"chrf", "bleu", "exactMatch", "loss", "trainChrf"} <= metrics.keys()
    namespace.apply(example("udhr-seq2seq-service.yaml"))
    namespace.wait("isvc/udhr-seq2seq", "Ready", seconds=120)
    answer = ask(namespace, SOURCE, {"text": SOURCE})
    assert answer[0] == 200, answer
    first, second = answer[1]["predictions"]
    assert isinstance(first["translation"], str)
    assert first["translation"] == second["translation"]
    status, refused = ask(namespace, "a" * 1001)
    assert (status, "at most 1,000 are translated" in refused["error"]) == (400, True)


def ask(namespace: Any, *instances: Any) -> tuple[int, dict[str, Any]]:
    path = "/v1/models/udhr-seq2seq:predict"
    found: tuple[int, dict[str, Any]] = namespace.post("udhr-seq2seq", path, {"instances": instances})
    return found

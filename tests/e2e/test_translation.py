"""Translation from one YAML to a service, with real pods."""

from pathlib import Path
from typing import Any

import httpx
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
    address = namespace.get("service", "udhr-seq2seq")["spec"]["clusterIP"]
    url = f"http://{address}/v1/models/udhr-seq2seq:predict"
    answer = httpx.post(url, json={"instances": [SOURCE, {"text": SOURCE}]}, timeout=60)
    first, second = answer.json()["predictions"]
    assert isinstance(first["translation"], str)
    assert first["translation"] == second["translation"]
    refused = httpx.post(url, json={"instances": ["a" * 1001]}, timeout=60)
    assert (refused.status_code, "at most 1,000 are translated" in refused.json()["error"]) == (400, True)

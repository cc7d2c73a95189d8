"""From kubectl apply to a prediction, with real pods."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def test_the_demo_ends_with_a_right_prediction(demo: str) -> None:
    assert "), right" in demo
    assert "of 100 digits that it had never seen were told right" in demo
    assert "kubectl port-forward" in demo


def test_a_completed_job_names_its_model_by_digest(demo: str, cluster: Any) -> None:
    assert demo
    status = json.loads(cluster.kubectl("get", "-n", "demo", "tj", "mnist-cnn", "-o", "json"))["status"]
    assert status["model"]["uri"].startswith("pvc://mnist-cnn-model")
    assert status["model"]["digest"].startswith("sha256:")
    metrics = {m["name"]: float(m["value"]) for m in status["model"]["metrics"]}
    assert metrics["accuracy"] >= 0.985
    assert {c["type"]: c["status"] for c in status["conditions"]}["Complete"] == "True"


def test_kubectl_wait_works_for_completion(cluster: Any) -> None:
    cluster.kubectl("wait", "-n", "demo", "tj/mnist-cnn", "--for=condition=Complete", "--timeout=5s")
    cluster.kubectl("wait", "-n", "demo", "isvc/mnist-cnn", "--for=condition=Ready", "--timeout=5s")


def test_events_tell_the_story_of_a_job(cluster: Any) -> None:
    told = cluster.kubectl("get", "-n", "demo", "events", "-o", "json")
    reasons = {
        event["reason"]
        for event in json.loads(told)["items"]
        if event["involvedObject"]["kind"] == "TrainingJob"
    }
    assert {"JobCreated", "Succeeded"} <= reasons


def test_a_service_follows_the_next_model_of_its_job(
    namespace: Any, training_job: Any, inference_service: Any
) -> None:
    def train(seed: int) -> str:
        parameters = {"epochs": 1, "width": 4, "seed": seed}
        namespace.apply(training_job(model={"architecture": "cnn", "hyperparameters": parameters}))
        digest: str = namespace.wait("tj/job", "Complete", seconds=180)["status"]["model"]["digest"]
        return digest

    namespace.apply(inference_service(trainingJobRef={"name": "job", "follow": True}))
    namespace.wait("isvc/service", "TrainingJobNotFound")
    first = train(seed=1)
    served = namespace.wait("isvc/service", "Ready")["status"]
    assert served["modelStatus"]["digest"] == first
    namespace.kubectl("delete", "tj", "job", "--cascade=orphan", "--wait")
    namespace.kubectl("delete", "job", "job", "--wait")
    second = train(seed=2)
    assert second != first
    namespace.kubectl(
        "wait", "isvc/service", f"--for=jsonpath={{.status.modelStatus.digest}}={second}", "--timeout=60s"
    )


def test_deleting_a_job_removes_all_that_it_made(namespace: Any, training_job: Any) -> None:
    namespace.apply(training_job())
    namespace.kubectl("wait", "job/job", "--for=create", "--timeout=30s")
    namespace.kubectl("delete", "tj", "job", "--cascade=foreground", "--timeout=60s")
    left = namespace.kubectl("get", "job,pod,pvc,networkpolicy", "-o", "name")
    assert left.strip() == ""

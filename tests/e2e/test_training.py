"""Training in full, with real pods: several of them, suspension, containers of one's own, searches."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"cpu": "100m", "memory": "512Mi"}
THREE = {"numNodes": 3, "resourcesPerNode": {"requests": SMALL}}


def wait_for_step(namespace: Any, name: str, step: int, *, seconds: float = 120) -> None:
    """Wait until a checkpoint of this step or a later one is told of."""
    end = time.monotonic() + seconds
    while (namespace.get("tj", name).get("status", {}).get("checkpoint") or {}).get("step", 0) < step:
        if time.monotonic() > end:
            pytest.fail(f"no checkpoint of step {step}: {namespace.get('tj', name).get('status')}")
        time.sleep(0.2)


def wait_until(told: Callable[[], Any], what: str, *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not told():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def running(namespace: Any) -> str:
    """How it trains, nothing where it does not."""
    conditions = namespace.get("tj", "job").get("status", {}).get("conditions", [])
    return next((c["message"] for c in conditions if (c["type"], c["reason"]) == ("Running", "Training")), "")


def pods_of(namespace: Any) -> list[Any]:
    found: list[Any] = json.loads(namespace.kubectl("get", "pods", "-o", "json"))["items"]
    return found


@contextlib.contextmanager
def no_room(cluster: Any) -> Iterator[None]:
    """No node takes new pods meanwhile."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    names = [node["metadata"]["name"] for node in nodes]
    cluster.kubectl("cordon", *names)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", *names)


def test_three_pods_train_one_model(namespace: Any, lasting_job: Any) -> None:
    namespace.apply(lasting_job(epochs=2, trainer=THREE))
    status = namespace.wait("tj/job", "Complete", seconds=240)["status"]
    assert status["model"]["digest"].startswith("sha256:")
    assert status["checkpoint"]["step"] == 140
    accuracy = next(m["value"] for m in status["model"]["metrics"] if m["name"] == "accuracy")
    assert float(accuracy) > 0.8


def test_a_pod_that_is_lost_for_good_is_done_without_until_it_is_back(
    cluster: Any, namespace: Any, lasting_job: Any
) -> None:
    namespace.apply(lasting_job(trainer=THREE | {"minNodes": 2}))
    wait_for_step(namespace, "job", 20)
    wait_until(lambda: running(namespace).startswith("3 of 3"), "three pods run")
    with no_room(cluster):
        pod = "batch.kubernetes.io/job-completion-index=2"
        namespace.kubectl("delete", "pod", "-l", pod, "--force", "--grace-period=0")
        wait_until(lambda: running(namespace).startswith("2 of 3"), "two pods train")
        before = namespace.get("tj", "job")["status"]["checkpoint"]["step"]
        wait_for_step(namespace, "job", before + 40)
        assert namespace.get("tj", "job")["status"]["state"] == "Running"
    wait_until(lambda: running(namespace).startswith("3 of 3"), "three pods train again")
    assert namespace.wait("tj/job", "Complete", seconds=180)["status"]["checkpoint"]["step"] == 280


def test_pods_that_cannot_all_be_there_hold_no_node(namespace: Any, training_job: Any) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}}
    namespace.apply(quota | {"spec": {"hard": {"pods": "2"}}})
    namespace.apply(training_job(trainer=THREE))
    wait_until(lambda: len(pods_of(namespace)) == 2, "two of three pods are made")
    status = namespace.wait("tj/job", "PodRefused")["status"]
    assert "exceeded quota" in json.dumps(status["conditions"])
    assert not any(pod["spec"].get("nodeName") for pod in pods_of(namespace))
    namespace.apply(quota | {"spec": {"hard": {"pods": "3"}}})
    namespace.wait("tj/job", "Complete", seconds=120)


def test_a_suspended_job_frees_its_pod_and_goes_on_at_the_same_step(namespace: Any, lasting_job: Any) -> None:
    namespace.apply(lasting_job())
    wait_for_step(namespace, "job", 20)
    namespace.patch("tj/job", {"spec": {"suspend": True}})
    step = namespace.wait("tj/job", "Suspended", seconds=70)["status"]["checkpoint"]["step"]
    pods = json.loads(namespace.kubectl("get", "pods", "-o", "json"))["items"]
    assert {pod["status"]["phase"] for pod in pods} <= {"Failed"}
    namespace.patch("tj/job", {"spec": {"suspend": False}})
    status = namespace.wait("tj/job", "Complete", seconds=180)["status"]
    assert f"resumed from step {step}" in namespace.kubectl("logs", "job/job")
    assert {c["type"]: c["status"] for c in status["conditions"]}["Suspended"] == "False"


def test_a_container_of_ones_own_trains(namespace: Any) -> None:
    namespace.kubectl("apply", "-f", str(EXAMPLES / "custom-container.yaml"))
    status = namespace.wait("tj/custom", "Complete", seconds=120)["status"]
    assert status["checkpoint"]["step"] == 3000


def test_a_search_serves_its_best_trial(namespace: Any, training_job: Any, inference_service: Any) -> None:
    parameters = [{"name": "learningRate", "min": 0.00001, "max": 0.05, "log": True}]
    search = {"maxTrials": 3, "parallelTrials": 2, "parameters": parameters}
    namespace.apply(training_job(search=search, trainer={"resourcesPerNode": {"requests": SMALL}}))
    status = namespace.wait("tj/job", "Complete", seconds=300)["status"]
    trials = status["search"]["trials"]
    best = max(trials, key=lambda trial: float(trial.get("value", 0)))
    assert len(trials) == 3
    assert status["search"]["bestTrial"]["name"] == best["name"]
    namespace.apply(inference_service(trainingJobRef={"name": "job"}))
    served = namespace.wait("isvc/service", "Ready", seconds=60)["status"]
    assert served["modelStatus"]["digest"] == status["model"]["digest"]

"""Training in full, with real pods: several of them, suspension, containers of one's own, searches."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"cpu": "100m", "memory": "512Mi"}


def wait_for_step(namespace: Any, name: str, step: int, *, seconds: float = 120) -> None:
    """Wait until a checkpoint of this step or a later one is told of."""
    end = time.monotonic() + seconds
    while (namespace.get("tj", name).get("status", {}).get("checkpoint") or {}).get("step", 0) < step:
        if time.monotonic() > end:
            pytest.fail(f"no checkpoint of step {step}: {namespace.get('tj', name).get('status')}")
        time.sleep(0.2)


def reason(name: str) -> tuple[str, ...]:
    """What `kubectl wait` waits for."""
    return (f'--for=jsonpath={{.status.conditions[?(@.type=="Running")].reason}}={name}',)


def test_three_pods_train_one_model(namespace: Any, lasting_job: Any) -> None:
    trainer = {"numNodes": 3, "resourcesPerNode": {"requests": SMALL}}
    namespace.apply(lasting_job(epochs=2, trainer=trainer))
    status = namespace.wait("tj/job", "Complete", seconds=240)["status"]
    assert status["model"]["digest"].startswith("sha256:")
    assert status["checkpoint"]["step"] == 140
    accuracy = next(m["value"] for m in status["model"]["metrics"] if m["name"] == "accuracy")
    assert float(accuracy) > 0.8


def allow_pods(namespace: Any, number: int) -> None:
    """Let the namespace hold so many pods that are not at their end, and no more."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"}}
    namespace.apply(quota | {"spec": {"hard": {"pods": str(number)}}})
    granted = f"--for=jsonpath={{.status.hard.pods}}={number}"
    namespace.kubectl("wait", "resourcequota/pods", granted, "--timeout=30s")


def pods_of(namespace: Any) -> dict[str, Any]:
    """The newest pod of each index of the job, by its index."""
    listed = json.loads(namespace.kubectl("get", "pods", "-l", "vaka.dev/training-job=job", "-o", "json"))
    made = sorted(listed["items"], key=lambda pod: pod["metadata"]["creationTimestamp"])
    return {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: pod for pod in made}


def test_pods_that_start_together_hold_no_node_before_all_are_there(namespace: Any, lasting_job: Any) -> None:
    allow_pods(namespace, 2)
    trainer = {"numNodes": 3, "resourcesPerNode": {"requests": SMALL}}
    namespace.apply(lasting_job(epochs=1, trainer=trainer))
    namespace.kubectl("wait", "tj/job", *reason("PodRefused"), "--timeout=90s")
    waiting = pods_of(namespace)
    assert len(waiting) == 2
    assert not any(pod["spec"].get("nodeName") for pod in waiting.values())
    allow_pods(namespace, 3)
    assert namespace.wait("tj/job", "Complete", seconds=300)["status"].get("restarts", 0) == 0


def running_of(namespace: Any) -> dict[str, Any]:
    conditions = namespace.get("tj", "job")["status"]["conditions"]
    return next(condition for condition in conditions if condition["type"] == "Running")


def test_training_goes_on_with_fewer_nodes_and_grows_back(
    namespace: Any, lasting_job: Any, until: Any
) -> None:
    trainer = {"numNodes": 3, "minNodes": 2, "resourcesPerNode": {"requests": SMALL}}
    namespace.apply(lasting_job(epochs=10_000, trainer=trainer))
    wait_for_step(namespace, "job", 40, seconds=240)
    allow_pods(namespace, 2)
    lost = pods_of(namespace)["2"]["metadata"]["name"]
    namespace.kubectl("delete", "pod", lost, "--grace-period=0", "--force")
    step = namespace.get("tj", "job")["status"]["checkpoint"]["step"]
    wait_for_step(namespace, "job", step + 60, seconds=240)
    running = running_of(namespace)
    assert running["status"] == "True"
    assert "2 of 3 pods run" in running["message"]
    allow_pods(namespace, 3)
    grown = until(lambda: pods_of(namespace).get("2"), seconds=300)["metadata"]["name"]
    assert grown != lost
    namespace.kubectl("wait", f"pod/{grown}", "--for=condition=Ready", "--timeout=60s")
    until(lambda: "resumed from step" in namespace.kubectl("logs", grown))
    until(lambda: "3 of 3 pods run" in running_of(namespace)["message"])
    assert namespace.get("tj", "job")["status"].get("restarts", 0) == 0


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

"""Training that nothing can stop: several pods, suspension, kills. With real pods."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.cgroups import cgroup_name

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("VAKA_TRAINER_KILLS", "2"))
EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"cpu": "100m", "memory": "512Mi"}


def lasting(training_job: Any, name: str = "job", *, epochs: int = 4, **spec: Any) -> Any:
    """A TrainingJob of half a minute that keeps a checkpoint every 20 of its steps, 70 an epoch."""
    model = {"architecture": "cnn", "hyperparameters": {"epochs": epochs, "width": 8}}
    return training_job(name, model=model, checkpoint={"everySteps": 20}, **spec)


def wait_for_step(namespace: Any, name: str, step: int, *, seconds: float = 120) -> None:
    """Wait until a checkpoint of this step or a later one is told of."""
    end = time.monotonic() + seconds
    while (namespace.get("tj", name).get("status", {}).get("checkpoint") or {}).get("step", 0) < step:
        if time.monotonic() > end:
            pytest.fail(f"no checkpoint of step {step}: {namespace.get('tj', name).get('status')}")
        time.sleep(0.2)


def weights_of(namespace: Any, *jobs: str) -> list[str]:
    """Digest of the published weights of each job, read by a pod that mounts their claims."""
    volumes = [
        {"name": job, "persistentVolumeClaim": {"claimName": f"{job}-model", "readOnly": True}}
        for job in jobs
    ]
    reader = {
        "name": "reader",
        "image": "docker.io/vaka/datasets:0.1.0",
        "command": ["sha256sum", *(f"/claims/{job}/{job}/weights.safetensors" for job in jobs)],
        "volumeMounts": [{"name": job, "mountPath": f"/claims/{job}"} for job in jobs],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": security,
        "containers": [reader],
        "volumes": volumes,
    }
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": spec})
    namespace.kubectl("wait", "pod/reader", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    return [line.split()[0] for line in namespace.kubectl("logs", "reader").splitlines()]


def trainers(cluster: str, pod: str) -> list[int]:
    """Trainer processes of the pod with this uid, seen from the host."""

    def is_trainer(process: Path) -> bool:
        try:
            group = (process / "cgroup").read_text()
            return (
                b"vaka.training" in (process / "cmdline").read_bytes()
                and f"{cgroup_name(cluster)}/" in group
                and pod.replace("-", "_") in group.replace("-", "_")
            )
        except OSError:
            return False

    return [int(p.name) for p in Path("/proc").glob("[0-9]*") if is_trainer(p)]


def kill_trainer(namespace: Any, job: str) -> None:
    """SIGKILL all processes of the job's running pod, if one runs."""
    pods = json.loads(namespace.kubectl("get", "pods", "-l", f"vaka.dev/training-job={job}", "-o", "json"))
    for pod in pods["items"]:
        for pid in trainers(namespace.cluster.name, pod["metadata"]["uid"]):
            os.kill(pid, signal.SIGKILL)


def test_three_pods_train_one_model(namespace: Any, training_job: Any) -> None:
    trainer = {"numNodes": 3, "resourcesPerNode": {"requests": SMALL}}
    namespace.apply(lasting(training_job, epochs=2, trainer=trainer))
    status = namespace.wait("tj/job", "Complete", seconds=240)["status"]
    assert status["model"]["digest"].startswith("sha256:")
    assert status["checkpoint"]["step"] == 140
    accuracy = next(m["value"] for m in status["model"]["metrics"] if m["name"] == "accuracy")
    assert float(accuracy) > 0.8


def test_a_suspended_job_frees_its_pod_and_goes_on_at_the_same_step(
    namespace: Any, training_job: Any
) -> None:
    namespace.apply(lasting(training_job))
    wait_for_step(namespace, "job", 20)
    namespace.patch("tj/job", {"spec": {"suspend": True}})
    step = namespace.wait("tj/job", "Suspended", seconds=70)["status"]["checkpoint"]["step"]
    pods = json.loads(namespace.kubectl("get", "pods", "-o", "json"))["items"]
    assert {pod["status"]["phase"] for pod in pods} <= {"Failed"}
    namespace.patch("tj/job", {"spec": {"suspend": False}})
    status = namespace.wait("tj/job", "Complete", seconds=180)["status"]
    assert f"resumed from step {step}" in namespace.kubectl("logs", "job/job")
    assert {c["type"]: c["status"] for c in status["conditions"]}["Suspended"] == "False"


def test_killed_trainers_end_with_the_weights_of_an_undisturbed_one(
    namespace: Any, training_job: Any
) -> None:
    chance = random.Random(0)
    for name in ("calm", "killed"):
        namespace.apply(lasting(training_job, name))
    for number in range(KILLS):
        wait_for_step(namespace, "killed", min(20 * (number + 1), 200))
        time.sleep(chance.uniform(0, 1))
        if number % 2:
            namespace.kubectl("delete", "pod", "-l", "vaka.dev/training-job=killed", "--force")
        else:
            kill_trainer(namespace, "killed")
    namespace.wait("tj/calm", "Complete", seconds=300)
    namespace.wait("tj/killed", "Complete", seconds=300)
    calm, killed = weights_of(namespace, "calm", "killed")
    assert calm == killed


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

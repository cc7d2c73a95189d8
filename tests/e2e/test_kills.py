"""Whatever is killed, at any time: no job is lost, doubled or misreported, and its weights are the same."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.cgroups import cgroup_name

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]
# VAKA_KILL_JOBS=10 VAKA_KILLS=50 is the full trial of the operator, VAKA_CHAOS_KILLS=100 that of everything;
# it can be had in parts, each with a VAKA_CHAOS_SEED of its own.
JOBS = int(os.environ.get("VAKA_KILL_JOBS", "3"))
KILLS = int(os.environ.get("VAKA_KILLS", "8"))
SEED = int(os.environ.get("VAKA_CHAOS_SEED", "0"))
CHAOS = int(os.environ.get("VAKA_CHAOS_KILLS", "6"))
DISTURBED = max(1, CHAOS // 20)


def processes(of: Callable[[str, str], bool]) -> list[int]:
    """Those of the host whose command line and control groups are the wanted ones."""

    def wanted(process: Path) -> bool:
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            return of(command, (process / "cgroup").read_text())
        except OSError:
            return False

    return [int(p.name) for p in Path("/proc").glob("[0-9]*") if wanted(p)]


def operators(cluster: str) -> list[int]:
    return processes(
        lambda command, group: "vaka_operator" in command and f"{cgroup_name(cluster)}/" in group
    )


def component(cluster: str, name: str) -> list[int]:
    """A program of the cluster itself, such as its kubelet."""
    return processes(lambda command, _: f"/clusters/{cluster}/bin/{name} " in command)


def trainers(cluster: str, pods: set[str]) -> list[int]:
    """The trainers in the pods of these uids."""

    def is_trainer(command: str, group: str) -> bool:
        inside = f"{cgroup_name(cluster)}/" in group
        return inside and "vaka.training" in command and any(pod in group for pod in pods)

    return processes(is_trainer)


def kill(found: list[int]) -> None:
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_operator(cluster: str, seconds: float = 60) -> None:
    """SIGKILL the operator, however long its container waits to be started again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := operators(cluster):
            return kill(found)
        time.sleep(0.05)
    pytest.fail("no operator came back to be killed")


def test_jobs_survive_an_operator_that_is_killed_again_and_again(
    cluster: Any, namespace: Any, training_job: Any
) -> None:
    chance = random.Random(SEED)
    for number in range(JOBS):
        namespace.apply(training_job(f"job-{number}"))
    for _ in range(KILLS):
        # A new pod starts at once; a killed container would wait longer after each kill.
        kill_operator(cluster.name)
        cluster.kubectl("-n", "vaka-system", "delete", "pod", "--all", "--force", "--grace-period=0")
        time.sleep(chance.uniform(0, 3))
    for number in range(JOBS):
        status = namespace.wait(f"tj/job-{number}", "Complete", seconds=300)["status"]
        assert status["model"]["digest"].startswith("sha256:")
        assert status.get("restarts", 0) == 0
    jobs = json.loads(namespace.kubectl("get", "jobs", "-o", "json"))["items"]
    pods = json.loads(namespace.kubectl("get", "pods", "-o", "json"))["items"]
    assert len(jobs) == JOBS
    assert len(pods) == JOBS


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


def when_it_answers(ask: Callable[[], Any], *, seconds: float = 900) -> Any:
    """What kubectl says, once the API server is there to be asked."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except subprocess.CalledProcessError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def disturbed_pods(namespace: Any) -> set[str]:
    listed = namespace.kubectl("get", "pods", "-l", "vaka.dev/training-job!=calm", "-o", "json")
    return {pod["metadata"]["uid"] for pod in json.loads(listed)["items"]}


def kill_something(namespace: Any, chance: random.Random) -> None:
    cluster = namespace.cluster.name
    match chance.choice(["trainer", "trainer", "operator", "kubelet", "kube-apiserver"]):
        case "trainer":
            kill(trainers(cluster, when_it_answers(lambda: disturbed_pods(namespace))))
        case "operator":
            kill(operators(cluster))
        case name:
            kill(component(cluster, name))


def test_weights_are_the_same_whatever_is_killed(namespace: Any, lasting_job: Any) -> None:
    chance, names = random.Random(SEED), ["calm", *(f"disturbed-{n}" for n in range(DISTURBED))]
    # They train side by side, and would give threads up for each other; then sums have other last digits.
    fixed = {"env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}
    trainer = fixed | {"resourcesPerNode": {"requests": {"cpu": "100m", "memory": "512Mi"}}}
    for name in names:
        namespace.apply(lasting_job(name, trainer=trainer))
    for _ in range(CHAOS):
        kill_something(namespace, chance)
        time.sleep(chance.uniform(1, 6))
    for name in names:
        when_it_answers(lambda name=name: namespace.kubectl("wait", f"tj/{name}", *COMPLETE))
        assert namespace.get("tj", name)["status"]["checkpoint"]["step"] == 280
    jobs = json.loads(namespace.kubectl("get", "jobs", "-o", "json"))["items"]
    assert len(jobs) == len(names)
    assert len(set(weights_of(namespace, *names))) == 1


COMPLETE = ("--for=condition=Complete", "--timeout=600s")

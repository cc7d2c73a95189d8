"""How long the spine takes on a cluster that `make demo` has set up: `make bench`.

Prints one line a figure: median (minimum .. maximum) of several runs.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from vaka.devcluster.handle import Cluster

RUNS = 5
JOB = {
    "apiVersion": "vaka.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "job"},
    "spec": {
        "model": {"architecture": "cnn", "hyperparameters": {"epochs": 100}},
        "dataset": {"storageUri": "pkg://mnist"},
    },
}


def main() -> int:
    """Measure and print."""
    cluster = Cluster.up(sys.argv[1] if len(sys.argv) > 1 else "vaka")
    show("kubectl apply of a TrainingJob -> first line of training, s", apply_to_training(cluster))
    show("server pod: container started -> ready, s", server_start(cluster))
    show("server pod: memory in use, MiB", server_memory(cluster))
    return 0


def show(what: str, figures: list[float]) -> None:
    low, high = min(figures), max(figures)
    print(f"{what}: {statistics.median(figures):.2f} ({low:.2f} .. {high:.2f}), n={len(figures)}", flush=True)


@contextmanager
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one measurement."""
    name = f"bench-{uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=true")


def apply_to_training(cluster: Cluster) -> list[float]:
    def once(space: str) -> float:
        started = time.monotonic()
        cluster.kubectl("apply", "-n", space, "-f", "-", text=json.dumps(JOB))
        cluster.kubectl("wait", "-n", space, "pod", "-l", "vaka.dev/training-job=job", "--for=create")
        ready = "--for=condition=PodReadyToStartContainers"
        cluster.kubectl("wait", "-n", space, "pod", "-l", "vaka.dev/training-job=job", ready)
        wait_for_line(cluster, space, lambda line: str(line["msg"]).startswith("step "))
        return time.monotonic() - started

    return repeat(cluster, once)


def wait_for_line(cluster: Cluster, space: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Follow the trainer's log until a line of JSON is the wanted one."""
    command = ["kubectl", "logs", "-n", space, "-l", "vaka.dev/training-job=job", "-f"]
    while True:
        log = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=cluster.environment()
        )
        try:
            assert log.stdout is not None
            if any(wanted(json.loads(line)) for line in log.stdout if line.startswith("{")):
                return
        finally:
            log.terminate()
            log.wait()


def server_start(cluster: Cluster) -> list[float]:
    """Between two stamps of Kubernetes, which are whole seconds: read it as at most one second off."""

    def once(_: str) -> float:
        cluster.kubectl("rollout", "restart", "-n", "demo", "deployment/mnist-cnn-predictor")
        cluster.kubectl("rollout", "status", "-n", "demo", "deployment/mnist-cnn-predictor", "--timeout=60s")
        pods = json.loads(cluster.kubectl("get", "pods", "-n", "demo", "-l", SERVER, "-o", "json"))["items"]
        pod = max(pods, key=lambda p: str(p["metadata"]["creationTimestamp"]))
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")["lastTransitionTime"]
        return stamp(ready) - stamp(started)

    return repeat(cluster, once)


SERVER = "vaka.dev/inference-service=mnist-cnn"


def server_memory(cluster: Cluster) -> list[float]:
    """The working set as metrics-server sees it, which kubectl top shows."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            table = cluster.kubectl("top", "pod", "-n", "demo", "-l", SERVER, "--no-headers")
            return [float(line.split()[2].removesuffix("Mi")) for line in table.splitlines()]
        except subprocess.CalledProcessError:  # no sample of a new pod yet
            time.sleep(5)
    raise SystemExit("vaka: metrics-server has no figures of the server's pod")


def repeat(cluster: Cluster, once: Callable[[str], float]) -> list[float]:
    figures = []
    for _ in range(RUNS):
        with namespace(cluster) as space:
            figures.append(once(space))
    return figures


def stamp(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


if __name__ == "__main__":
    sys.exit(main())

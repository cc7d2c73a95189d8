"""The operator as it runs in its pod: a process of its own, with the rights that the chart grants."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

pytestmark = pytest.mark.api

JSON = dict[str, Any]
CHART = Path(__file__).parents[3] / "charts" / "vaka"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
RIGHTS = {
    "ServiceAccount": "/api/v1/namespaces/default/serviceaccounts",
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
}
JOBS = int(os.environ.get("VAKA_KILL_JOBS", "10"))
KILLS = int(os.environ.get("VAKA_KILLS", "8"))
NOW = "2026-01-01T00:00:00Z"
REPORT = json.dumps({"reason": "Succeeded", "model": {"uri": "", "digest": "sha256:" + "a" * 64}})


@pytest.fixture(scope="module")
def granted(api: Any, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig of the chart's service account, with the rights that the chart grants and no others."""
    manifests = [m for m in rendered(kubeconfig) if m["kind"] in RIGHTS]
    for manifest in manifests:
        api("POST", RIGHTS[manifest["kind"]], manifest)
    (account,) = [m["metadata"]["name"] for m in manifests if m["kind"] == "ServiceAccount"]
    tokens = f"{RIGHTS['ServiceAccount']}/{account}/token"
    token = api("POST", tokens, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    settings = json.loads(kubeconfig.read_text())
    settings["users"][0]["user"] = {"token": token}
    path = tmp_path_factory.mktemp("operator") / "kubeconfig"
    path.write_text(json.dumps(settings))
    yield path
    for manifest in manifests:
        api("DELETE", f"{RIGHTS[manifest['kind']]}/{manifest['metadata']['name']}")


def rendered(kubeconfig: Path) -> list[JSON]:
    """The chart's manifests as helm makes them."""
    built = kubeconfig.parent / "bin" / "helm"
    helm = str(built) if built.exists() else shutil.which("helm")
    if helm is None:
        pytest.skip("there is no helm: `make setup` builds it")
    argv = [helm, "template", "vaka", str(CHART), "--namespace=default"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


class Operator:
    """The process, its ports and its log."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self.metrics, self.health = free_port(), free_port()
        self.log = log
        self._env = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "TMPDIR": str(log.parent),  # certificates are written there, and stay when it is killed
            "VAKA_TRAINER_IMAGE": "trainer:1",
            "VAKA_SERVER_IMAGE": "server:1",
            "VAKA_DATASETS_IMAGE": "datasets:1",
            "VAKA_ROUTER_IMAGE": "router:1",
            "VAKA_ROUTER_KEY": "key",
            "VAKA_METRICS_PORT": str(self.metrics),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "kopf", "run", "-m", "vaka_operator.main", "--all-namespaces"]
        health = f"--liveness=http://127.0.0.1:{self.health}/healthz"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*argv, health], env=self._env, stdout=log, stderr=log)

    def stop(self, how: signal.Signals) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(how)
        code = self._process.wait(30)
        self._process = None
        return code


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def operator(granted: Path, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(granted, tmp_path / "operator.log")
    operator.start()
    yield operator
    operator.stop(signal.SIGKILL)


async def answer(port: int, path: str) -> str:
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"http://127.0.0.1:{port}{path}")).raise_for_status().text
            await asyncio.sleep(0.1)


async def test_what_the_chart_grants_is_enough(
    operator: Operator, namespace: Any, training_job: Any, inference_service: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    namespace.create("isvc", inference_service())
    namespace.create("isvc", inference_service("stored", {"storageUri": "s3://bucket/model"}))

    def state(kind: str, name: str) -> str | None:
        found: str | None = namespace.get(kind, name).get("status", {}).get("state")
        return found

    await until(lambda: state("tj", "digits") == "Unschedulable")
    await until(lambda: state("isvc", "digits") == "WaitingForTrainingJob")
    await until(lambda: state("isvc", "stored") == "Unschedulable")
    namespace.patch("tj", "digits", {"spec": {"trainer": {"image": "other"}}})
    await until(
        lambda: any(
            job["spec"]["template"]["spec"]["containers"][0]["image"] == "other"
            for job in namespace.list("job")
        )
    )
    assert "forbidden" not in operator.log.read_text()
    assert await answer(operator.health, "/healthz") == "{}"
    metrics = await answer(operator.metrics, "/metrics")
    assert 'vaka_inferenceservices{state="WaitingForTrainingJob"} 1.0' in metrics
    assert operator.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("reference", [{"name": "run"}, {"selector": {"matchLabels": {"app": "digits"}}}])
async def test_a_follower_that_is_settled_is_woken_by_a_new_result(
    operator: Operator, namespace: Any, training_job: Any, inference_service: Any, until: Any, reference: JSON
) -> None:
    assert operator
    job = training_job(managedBy="kueue.x-k8s.io/multikueue")  # so that the test itself says how it fares
    namespace.create("tj", job | {"metadata": {"name": "run", "labels": {"app": "digits"}}})

    def publish(digit: str) -> None:
        model = {"uri": "s3://bucket/digits", "digest": "sha256:" + digit * 64}
        namespace.set_status("tj", "run", {"state": "Complete", "model": model})

    def pods(digit: str) -> list[JSON]:
        found = namespace.list("pod")
        return [p for p in found if p["metadata"]["annotations"]["vaka.dev/model-digest"][-1] == digit]

    publish("1")
    model = {"trainingJobRef": reference | {"follow": True}}
    namespace.create("isvc", inference_service(model=model))
    (pod,) = await until(lambda: pods("1"))
    running = {"name": "server", "image": "", "imageID": "", "ready": True, "restartCount": 0}
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [running]}
    namespace.set_status("pod", pod["metadata"]["name"], {"phase": "Running"} | ready)
    await until(lambda: namespace.get("isvc", "digits").get("status", {}).get("state") == "Ready")
    publish("2")
    await until(lambda: pods("2"))


class Kubelet:
    """Takes every pod of a namespace through its life, and notes what it met."""

    def __init__(self, namespace: Any, chance: random.Random) -> None:
        self._namespace = namespace
        self._chance = chance
        self.end_of_a_pod = 1 / (8 * KILLS)
        """How likely it is each time that it is looked at: most end while the killing goes on."""
        self.pods: set[str] = set()
        self.jobs: set[str] = set()

    async def run(self) -> None:
        while True:
            self.jobs |= {job["metadata"]["uid"] for job in self._namespace.list("job")}
            for pod in self._namespace.list("pod"):
                self.pods.add(pod["metadata"]["uid"])
                self._advance(pod)
            await asyncio.sleep(0.2)

    def _advance(self, pod: JSON) -> None:
        phase = pod["status"]["phase"]
        if phase == "Pending":
            self._namespace.set_pod(pod, "Running", {"running": {"startedAt": NOW}})
        elif phase == "Running" and self._chance.random() < self.end_of_a_pod:
            ended = {"exitCode": 0, "reason": "Completed", "message": self._report(pod)}
            self._namespace.set_pod(
                pod, "Succeeded", {"terminated": ended | {"startedAt": NOW, "finishedAt": NOW}}
            )

    def _report(self, _pod: JSON) -> str:
        return REPORT


@pytest.fixture
async def kubelet(namespace: Any) -> AsyncIterator[Kubelet]:
    kubelet = Kubelet(namespace, random.Random(0))
    task = asyncio.create_task(kubelet.run())
    yield kubelet
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_no_job_is_lost_doubled_or_misreported_however_often_the_operator_is_killed(
    operator: Operator,
    kubelet: Kubelet,
    namespace: Any,
    training_job: Any,
    until: Callable[..., Awaitable[Any]],
) -> None:
    chance = random.Random(1)
    names = [f"job-{number}" for number in range(JOBS)]
    for name in names:
        namespace.create("tj", training_job(name))
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 6))
        operator.stop(signal.SIGKILL)
        operator.start()
    kubelet.end_of_a_pod = 1

    def states() -> set[str]:
        return {job.get("status", {}).get("state", "") for job in namespace.list("tj")}

    await until(lambda: states() == {"Complete"}, seconds=120)
    for job in namespace.list("tj"):
        name = job["metadata"]["name"]
        assert job["status"]["model"]["uri"] == f"pvc://{name}-model/{name}"
        assert job["status"]["model"]["digest"].startswith("sha256:")
        assert "restarts" not in job["status"]
    assert (len(kubelet.jobs), len(kubelet.pods)) == (JOBS, JOBS)
    told = [e["regarding"]["name"] for e in namespace.list("event") if e["reason"] == "Succeeded"]
    assert sorted(told) == sorted(names)


class Trainers(Kubelet):
    """A kubelet whose trainers report how good their width is: 48 is the best."""

    def _report(self, pod: JSON) -> str:
        name = pod["metadata"]["labels"]["vaka.dev/training-job"]
        width = self._namespace.get("tj", name)["spec"]["model"]["hyperparameters"]["width"]
        metric = {"name": "accuracy", "value": str(1 - abs(width - 48) / 100)}
        model = {"uri": "", "digest": "sha256:" + "a" * 64, "metrics": [metric]}
        return json.dumps({"reason": "Succeeded", "model": model})


async def test_a_search_survives_the_operators_death(
    operator: Operator, namespace: Any, training_job: Any, until: Callable[..., Awaitable[Any]]
) -> None:
    """Each trial is made once, never too many at once, and the best of all is found."""
    chance = random.Random(2)
    kubelet = Trainers(namespace, chance)
    kubelet.end_of_a_pod = 0.2
    task = asyncio.create_task(kubelet.run())
    parameters = [{"name": "width", "min": 8, "max": 64}]
    search = {"maxTrials": 12, "parallelTrials": 3, "parameters": parameters}
    namespace.create("tj", training_job(search=search))

    def state() -> str | None:
        found: str | None = namespace.get("tj", "digits").get("status", {}).get("state")
        return found

    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 4))
        operator.stop(signal.SIGKILL)
        operator.start()
    kubelet.end_of_a_pod = 1
    await until(lambda: state() in ("Complete", "Failed"), seconds=240)
    task.cancel()
    assert state() == "Complete"
    status = namespace.get("tj", "digits")["status"]["search"]
    assert (status["total"], status["succeeded"]) == (12, 12)
    assert (len(kubelet.jobs), len(kubelet.pods)) == (12, 12)
    widths = [trial["hyperparameters"]["width"] for trial in status["trials"]]
    best = min(widths, key=lambda width: abs(width - 48))
    assert status["bestTrial"]["hyperparameters"]["width"] == best
    told = [e for e in namespace.list("event") if e["reason"] == "Succeeded"]
    assert len(told) == 13
    assert "forbidden" not in operator.log.read_text()

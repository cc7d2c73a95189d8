"""Whatever changes about a service, under load: no request fails."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]

JSON = dict[str, Any]
# VAKA_ROLLOUT_REPEATS=20 is the full trial.
REPEATS = int(os.environ.get("VAKA_ROLLOUT_REPEATS", "1"))
LOAD = Path(__file__).parent / "load"
# A node that is being drained is still the only one: its pods may come back to it.
CORDONED = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]
KINDS = ("plain", "routed")


class Team:
    """A namespace with two trained models, `a` and `b`, that services of the tests are made of."""

    def __init__(self, cluster: Any, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        found: str = self.cluster.kubectl("-n", self.name, *arguments, text=text)
        return found

    def apply(self, manifest: JSON) -> None:
        self.kubectl("apply", "-f", "-", text=json.dumps(manifest))

    def get(self, kind: str, name: str) -> JSON:
        found: JSON = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def model(self, name: str) -> JSON:
        digest = self.get("tj", name)["status"]["model"]["digest"]
        return {"storageUri": f"pvc://{name}-model/{name}", "digest": digest}


class Service:
    """An InferenceService, and the load that it gets."""

    def __init__(self, team: Team, *, routed: bool, predictor: JSON) -> None:
        self.team = team
        self.name = f"s-{uuid4().hex[:6]}"
        spec = {"predictor": {"tolerations": CORDONED} | predictor} | ({"router": {}} if routed else {})
        team.apply(
            {
                "apiVersion": "vaka.dev/v1alpha1",
                "kind": "InferenceService",
                "metadata": {"name": self.name},
                "spec": spec,
            }
        )
        self.settled(state=("Ready", "ScaledToZero"))

    @property
    def status(self) -> JSON:
        found: JSON = self.team.get("isvc", self.name).get("status", {})
        return found

    @property
    def address(self) -> str:
        return str(self.team.get("service", self.name)["spec"]["clusterIP"])

    @property
    def url(self) -> str:
        return f"http://{self.address}/v1/models/{self.name}:predict"

    def change(self, **spec: Any) -> None:
        self.team.kubectl("patch", "isvc", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def settled(self, *, seconds: float = 120, **wanted: Any) -> JSON:
        """Wait until the newest spec is what runs, and fields of the status are as wanted."""

        def is_settled(resource: JSON) -> bool:
            status = resource.get("status", {})
            ingress = [c["status"] for c in status.get("conditions", []) if c["type"] == "IngressReady"]
            known = status.get("observedGeneration") == resource["metadata"]["generation"]
            states = wanted.get("state", "Ready")
            given = {"canary": status.get("canary", {}).get("trafficPercent")}
            same = all(given[name] == value for name, value in wanted.items() if name in given)
            return bool(known and status["state"] in states and ingress == ["True"] and same)

        end = time.monotonic() + seconds
        while not is_settled(resource := self.team.get("isvc", self.name)):
            if time.monotonic() > end:
                pods = self.team.kubectl("get", "pods,deploy,svc", "--output=wide")
                pytest.fail(f"{wanted}: {json.dumps(resource.get('status'), indent=1)}\n{pods}")
            time.sleep(0.1)
        return resource

    def pods(self, component: str) -> list[str]:
        labels = f"vaka.dev/inference-service={self.name},app.kubernetes.io/component={component}"
        return self.team.kubectl("get", "pods", "-l", labels, "-o", "name").split()

    @contextlib.contextmanager
    def under_load(self) -> Iterator[None]:
        """Send requests by HTTP and gRPC all the while; none may fail."""
        with contextlib.ExitStack() as stack:
            http = stack.enter_context(running(self.team.cluster, *self._wrk()))
            grpc = stack.enter_context(running(self.team.cluster, *self._grpc()))
            time.sleep(1)
            yield
            time.sleep(2)
        told = [json.loads(output.splitlines()[-1]) for output in (http[0], grpc[0])]
        print(self.name, *told)
        assert told[0].pop("requests") > 100, http
        assert told[1].pop("requests") > 20, grpc
        assert {**told[0], **told[1]} | {"p99_ms": 0} == NOTHING_FAILED, (http, grpc)

    def _wrk(self) -> list[str]:
        return ["wrk", "-t1", "-c4", "-d3600", "--timeout=100", "-s", str(LOAD / "predict.lua"), self.url]

    def _grpc(self) -> list[str]:
        return [sys.executable, str(LOAD / "grpc_client.py"), f"{self.address}:9000", self.name]

    def ask(self) -> float:
        """Send one request, which must be answered; the seconds that it took."""
        body = json.dumps({"instances": [[[0] * 28] * 28]})
        write = "%{http_code} %{time_total}"
        command = ["curl", "-s", "-o", "/dev/null", "-w", write, "-m", "100", "-d", body, self.url]
        done = subprocess.run(self.team.cluster.inside(*command), capture_output=True, text=True, check=False)
        code, seconds = done.stdout.split()
        assert code == "200", done
        return float(seconds)


NOTHING_FAILED: JSON = {
    **dict.fromkeys(("connect", "read", "write", "timeout", "status", "p99_ms"), 0),
    "failed": 0,
    "failures": [],
}


@contextlib.contextmanager
def running(cluster: Any, *command: str) -> Iterator[list[str]]:
    """A program inside of the cluster's network; what it printed is there once it was interrupted."""
    printed: list[str] = []
    process = subprocess.Popen(
        cluster.inside(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield printed
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
        printed += [output, errors[-2000:]]


@pytest.fixture(scope="module")
def team(cluster: Any, training_job: Any) -> Iterator[Team]:
    name = f"rollouts-{uuid4().hex[:6]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply(
        json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    )
    team = Team(cluster, name)
    for seed, model in enumerate(("a", "b")):
        parameters = {"epochs": 1, "width": 4, "seed": seed}
        team.apply(training_job(model, model={"architecture": "cnn", "hyperparameters": parameters}))
    for model in ("a", "b"):
        team.kubectl("wait", f"tj/{model}", "--for=condition=Complete", "--timeout=240s")
    yield team
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def service(team: Team) -> Iterator[Any]:
    made: list[Service] = []

    def make(*, routed: bool, **predictor: Any) -> Service:
        made.append(Service(team, routed=routed, predictor={"model": team.model("a")} | predictor))
        return made[-1]

    yield make
    for one in made:
        team.kubectl("delete", "isvc", one.name, "--cascade=foreground", "--timeout=120s")


@pytest.mark.parametrize("kind", KINDS)
def test_another_model_fails_no_request(team: Team, service: Any, kind: str) -> None:
    it = service(routed=kind == "routed")
    with it.under_load():
        for _ in range(REPEATS):
            for model in ("b", "a"):
                it.change(predictor={"model": team.model(model)})
                assert it.settled()["status"]["modelStatus"]["digest"] == team.model(model)["digest"]


@pytest.mark.parametrize("kind", KINDS)
def test_more_and_fewer_pods_fail_no_request(service: Any, kind: str) -> None:
    it = service(routed=kind == "routed")
    with it.under_load():
        for _ in range(REPEATS):
            for replicas in (3, 1):
                it.change(predictor={"minReplicas": replicas})
                it.settled()


def test_a_canary_comes_takes_over_and_goes_without_a_failed_request(team: Team, service: Any) -> None:
    it = service(routed=False)
    with it.under_load():
        for _ in range(REPEATS):
            for percent in (0, 50, 100):
                canary = {"predictor": {"model": team.model("b")}, "trafficPercent": percent}
                it.change(canary=canary)
                it.settled(canary=percent)
            it.change(canary=None, predictor={"model": team.model("b")})
            assert it.settled(canary=None)["status"]["modelStatus"]["digest"] == team.model("b")["digest"]
            gone(it, "canary", "router")
            it.change(predictor={"model": team.model("a")})
            it.settled()


def gone(service: Service, *components: str) -> None:
    end = time.monotonic() + 120
    while any(service.pods(component) for component in components):
        assert time.monotonic() < end, components
        time.sleep(0.2)


def test_a_router_comes_and_goes_without_a_failed_request(service: Any) -> None:
    it = service(routed=False)
    with it.under_load():
        for _ in range(REPEATS):
            it.change(router={})
            it.settled()
            it.change(router={"maxRequestSize": "1Mi"})
            it.settled()
            it.change(router=None)
            it.settled()
            gone(it, "router")


def test_a_service_sleeps_and_every_request_that_wakes_it_is_answered(service: Any) -> None:
    it = service(routed=False, minReplicas=0, scaleDownDelay=5)
    for _ in range(REPEATS):
        it.settled(state="ScaledToZero")
        gone(it, "predictor")
        with ThreadPoolExecutor(16) as pool:
            seconds = list(pool.map(lambda _: it.ask(), range(16)))
        told = it.settled(state=("Ready", "ScaledToZero"))["status"]["scaling"]
        print("woken in", max(seconds), told)
        assert told["coldStartMilliseconds"] < 60_000


def test_requests_that_come_while_a_service_falls_asleep_are_answered(service: Any) -> None:
    it = service(routed=False, minReplicas=0, scaleDownDelay=1)
    for number in range(8 * REPEATS):
        it.ask()
        time.sleep(1 + (number % 8) * 0.5)


def test_killed_pods_fail_no_request(service: Any) -> None:
    it = service(routed=True, minReplicas=2)
    with it.under_load():
        for _ in range(3 * REPEATS):
            it.team.kubectl("delete", "--force", "--grace-period=0", "--wait=false", it.pods("predictor")[0])
            it.settled()


@pytest.mark.parametrize("kind", KINDS)
def test_a_drained_node_fails_no_request(cluster: Any, service: Any, kind: str) -> None:
    it = service(routed=kind == "routed", minReplicas=2)
    (node,) = cluster.kubectl("get", "nodes", "-o", "name").split()
    selector = f"--pod-selector=vaka.dev/inference-service={it.name}"
    with it.under_load():
        for _ in range(REPEATS):
            cluster.kubectl("drain", node, selector, "--delete-emptydir-data", "--timeout=180s")
            cluster.kubectl("uncordon", node)
            it.settled()

"""One real cluster for all e2e tests: the demo, run as people run it, sets it up."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from vaka.devcluster.handle import Cluster

ROOT = Path(__file__).parents[2]
KEPT = os.environ.get("VAKA_E2E_CLUSTER")  # a cluster that is up and stays so
NAME = KEPT or "vaka-e2e"
JSON = dict[str, Any]
LOAD = Path(__file__).parent / "load"
# A node that is being drained is still the only one: its pods may come back to it.
CORDONED = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]


@dataclass(frozen=True)
class Namespace:
    """A namespace of its own for one test; it enforces the restricted pod security."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, text=text)

    def apply(self, manifest: JSON) -> None:
        self.kubectl("apply", "-f", "-", text=json.dumps(manifest))

    def get(self, kind: str, name: str) -> JSON:
        found: JSON = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def wait(self, what: str, state: str, *, seconds: int = 60) -> JSON:
        """Wait until `.status.state` of kind/name is this; the failure shows the state that it had."""
        kind, name = what.split("/")
        try:
            self.kubectl("wait", what, f"--for=jsonpath={{.status.state}}={state}", f"--timeout={seconds}s")
        except subprocess.CalledProcessError:
            events = self.kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")
            pods = self.kubectl("get", "pods", "--output=wide")
            status = json.dumps(self.get(kind, name).get("status"), indent=1)
            pytest.fail(f"{what} is not {state} but {status}\n{events}\n{pods}")
        return self.get(kind, name)

    def post(self, service: str, path: str, body: JSON) -> tuple[int, JSON]:
        """Status and answer of a request to a Service, from within the cluster's network."""
        address = self.get("service", service)["spec"]["clusterIP"]
        command = ["curl", "-s", "-m", "60", "-w", "\n%{http_code}", "-d", "@-", f"http://{address}{path}"]
        inside, text = self.cluster.inside(*command), json.dumps(body)
        done = subprocess.run(inside, input=text, capture_output=True, text=True, check=True)
        answer, _, code = done.stdout.rpartition("\n")
        return int(code), json.loads(answer)

    def patch(self, what: str, change: JSON) -> None:
        self.kubectl("patch", what, "--type=merge", "-p", json.dumps(change))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the demo printed; its cluster is up until the session ends."""
    printed = tmp_path_factory.mktemp("demo") / "output.txt"
    with printed.open("w") as output:
        command = [sys.executable, str(ROOT / "examples/demo.py"), "--name", NAME]
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    try:
        if code:
            pytest.fail(f"the demo ended with {code}:\n{printed.read_text()[-6000:]}")
        yield printed.read_text()
    finally:
        if not KEPT:
            subprocess.run([sys.executable, "-m", "vaka.cli", "cluster", "down", "--name", NAME], check=True)


@pytest.fixture(scope="session")
def cluster(demo: str) -> Cluster:
    assert demo
    return Cluster.up(NAME)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    name = f"test-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply(
        json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    )
    yield Namespace(cluster, name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def training_job(name: str = "job", **spec: Any) -> JSON:
    """A TrainingJob that is done in seconds; keywords replace parts of its spec."""
    quick = {
        "model": {"architecture": "cnn", "hyperparameters": {"epochs": 1, "width": 4}},
        "dataset": {"storageUri": "pkg://mnist"},
    }
    return {
        "apiVersion": "vaka.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": quick | spec,
    }


def lasting_job(name: str = "job", *, epochs: int = 4, **spec: Any) -> JSON:
    """A TrainingJob of half a minute that keeps a checkpoint every 20 of its steps, 70 an epoch."""
    model = {"architecture": "cnn", "hyperparameters": {"epochs": epochs, "width": 8, "batchSize": 128}}
    return training_job(name, model=model, checkpoint={"everySteps": 20}, **spec)


def inference_service(name: str = "service", **model: Any) -> JSON:
    return {
        "apiVersion": "vaka.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"model": model}},
    }


@pytest.fixture(name="training_job", scope="session")
def training_job_fixture() -> Any:
    return training_job


@pytest.fixture(name="lasting_job", scope="session")
def lasting_job_fixture() -> Any:
    return lasting_job


def until(found: Callable[[], Any], *, seconds: float = 180) -> Any:
    """What `found` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, found
        time.sleep(0.2)
    return result


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Any:
    return until


@pytest.fixture(name="inference_service", scope="session")
def inference_service_fixture() -> Any:
    return inference_service


class Team(Namespace):
    """A namespace with two trained models, `a` and `b`, that services of the tests are made of."""

    def model(self, name: str) -> JSON:
        digest = self.get("tj", name)["status"]["model"]["digest"]
        return {"storageUri": f"pvc://{name}-model/{name}", "digest": digest}


class Service:
    """An InferenceService, and the load that it gets."""

    def __init__(self, team: Team, **spec: Any) -> None:
        self.team = team
        self.name = f"s-{uuid4().hex[:6]}"
        spec["predictor"] = {"tolerations": CORDONED} | spec["predictor"]
        team.apply(inference_service(self.name) | {"spec": spec})
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
        self.team.patch(f"isvc/{self.name}", {"spec": spec})

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

    def gone(self, *components: str) -> None:
        """Wait until there are no pods of these components."""
        end = time.monotonic() + 120
        while any(self.pods(component) for component in components):
            assert time.monotonic() < end, components
            time.sleep(0.2)

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
        code, seconds = self.curl(self.url)
        assert code == 200
        return seconds

    def curl(self, url: str, *options: str, images: int = 1) -> tuple[int, float]:
        """The status of the answer to a request, 0 where there is none, and the seconds that it took."""
        body = json.dumps({"instances": [[[0] * 28] * 28] * images})
        write = "%{http_code} %{time_total}"
        command = ["curl", "-s", "-o", "/dev/null", "-w", write, "-m", "100", "-d", body, *options, url]
        done = subprocess.run(self.team.cluster.inside(*command), capture_output=True, text=True, check=False)
        code, seconds = done.stdout.split()
        return int(code), float(seconds)


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


@pytest.fixture(scope="session")
def team(cluster: Cluster) -> Iterator[Team]:
    name = f"services-{uuid4().hex[:6]}"
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

    def make(*, routed: bool = False, router: JSON | None = None, **predictor: Any) -> Service:
        front = {"router": router or {}} if routed or router else {}
        made.append(Service(team, predictor={"model": team.model("a")} | predictor, **front))
        return made[-1]

    yield make
    for one in made:
        team.kubectl("delete", "isvc", one.name, "--cascade=foreground", "--timeout=120s")

"""One real cluster for all e2e tests: the demo, run as people run it, sets it up."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
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
    model = {"architecture": "cnn", "hyperparameters": {"epochs": epochs, "width": 8}}
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


@pytest.fixture(name="inference_service", scope="session")
def inference_service_fixture() -> Any:
    return inference_service

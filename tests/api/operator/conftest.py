"""A real API server with the resources, and the operator's reconcile run by hand against it.

No kubelet runs here: a test itself says what pods and Jobs go through, by writing their status.
"""

import asyncio
import base64
import contextlib
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from vaka.api.crd import DEFINITIONS
from vaka.devcluster.bare import bare_cluster
from vaka_operator.cluster import Cluster, Conflict
from vaka_operator.config import Config
from vaka_operator.handlers import inferenceservices, trainingjobs
from vaka_operator.handlers.world import Outcome, World

JSON = dict[str, Any]
Reconcile = Callable[[World, str, str], Awaitable[Outcome]]
VAKA = "/apis/vaka.dev/v1alpha1"
APIS = {
    "tj": f"{VAKA}/{{}}/trainingjobs",
    "isvc": f"{VAKA}/{{}}/inferenceservices",
    "job": "/apis/batch/v1/{}/jobs",
    "deployment": "/apis/apps/v1/{}/deployments",
    "replicaset": "/apis/apps/v1/{}/replicasets",
    "netpol": "/apis/networking.k8s.io/v1/{}/networkpolicies",
    "pdb": "/apis/policy/v1/{}/poddisruptionbudgets",
    "event": "/apis/events.k8s.io/v1/{}/events",
    "pod": "/api/v1/{}/pods",
    "pvc": "/api/v1/{}/persistentvolumeclaims",
    "service": "/api/v1/{}/services",
    "configmap": "/api/v1/{}/configmaps",
    "httproute": "/apis/gateway.networking.k8s.io/v1/{}/httproutes",
    "hpa": "/apis/autoscaling/v2/{}/horizontalpodautoscalers",
    "quota": "/api/v1/{}/resourcequotas",
}


class Api:
    """The API server as a person and the cluster's own parts use it."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        given = json.loads(kubeconfig.read_text())
        cluster, user = given["clusters"][0]["cluster"], given["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        for name in ("certificate", "key"):
            (folder / name).write_text(_decoded(user[f"client-{name}-data"]))
        context.load_cert_chain(folder / "certificate", folder / "key")
        self._http = httpx.Client(base_url=cluster["server"], verify=context, timeout=30)

    def __call__(self, method: str, path: str, body: JSON | None = None, **options: Any) -> JSON:
        answer = self._http.request(method, path, json=body, **options)
        while answer.status_code == httpx.codes.TOO_MANY_REQUESTS:  # it is about to be ready
            time.sleep(float(answer.headers.get("retry-after", 1)))
            answer = self._http.request(method, path, json=body, **options)
        found: JSON = answer.json()
        if answer.is_error:
            raise Refusal(found["message"], answer.status_code)
        return found

    def define(self, definition: JSON) -> None:
        """Create a CustomResourceDefinition, and wait until its kind is served."""
        root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        made = self("POST", root, definition)
        while not _served(self("GET", f"{root}/{made['metadata']['name']}")):
            time.sleep(0.05)

    def close(self) -> None:
        self._http.close()


class Refusal(Exception):
    """What the API server answers to what it does not take."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Namespace:
    """A namespace of a test's own."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self.name = name

    def create(self, kind: str, manifest: JSON) -> JSON:
        return self._api("POST", f"{self._path(kind)}?fieldValidation=Strict", manifest)

    def get(self, kind: str, name: str) -> JSON:
        return self._api("GET", f"{self._path(kind)}/{name}")

    def list(self, kind: str) -> list[JSON]:
        found: list[JSON] = self._api("GET", self._path(kind))["items"]
        return found

    def patch(self, kind: str, name: str, change: JSON, *, part: str = "") -> JSON:
        content = {"content-type": "application/merge-patch+json"}
        return self._api("PATCH", f"{self._path(kind)}/{name}{part}", change, headers=content)

    def set_status(self, kind: str, name: str, status: JSON) -> JSON:
        return self.patch(kind, name, {"status": status}, part="/status")

    def set_pod(self, pod: JSON, phase: str, state: JSON) -> None:
        """What a kubelet would say of a trainer's pod."""
        container = {"name": "trainer", "image": "t", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": phase, "containerStatuses": [container | {"state": state}]}
        self.set_status("pod", pod["metadata"]["name"], status)

    def bind(self, pod: JSON, node: str) -> None:
        """What the scheduler would do; only a kubelet can end the pod from then on."""
        path = f"{self._path('pod')}/{pod['metadata']['name']}/binding"
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        self._api("POST", path, {"metadata": {"name": pod["metadata"]["name"]}, "target": target})

    def delete(self, kind: str, name: str, **options: Any) -> None:
        self._api("DELETE", f"{self._path(kind)}/{name}", options or None)

    def _path(self, kind: str) -> str:
        return APIS[kind].format(f"namespaces/{self.name}")


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    with bare_cluster() as path:
        yield path


@pytest.fixture(scope="session")
def api(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with contextlib.closing(Api(kubeconfig, tmp_path_factory.mktemp("admin"))) as api:
        for definition in DEFINITIONS.values():
            api.define(definition)
        yield api


def _served(definition: JSON) -> bool:
    conditions = definition["status"].get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


@pytest.fixture
def namespace(api: Api) -> Iterator[Namespace]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    yield Namespace(api, name)
    with contextlib.suppress(Refusal):  # a test may have ended it itself
        api("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def config() -> Config:
    return Config(
        trainer_image="trainer:1",
        server_image="server:1",
        datasets_image="datasets:1",
        router_image="router:1",
        router_key="key",
    )


@pytest.fixture
async def world(api: Api, kubeconfig: Path, config: Config) -> AsyncIterator[World]:
    assert api
    async with await Cluster.connect(kubeconfig) as cluster:
        yield World(cluster=cluster, config=config)


async def settled(reconcile: Reconcile, world: World, namespace: str, name: str) -> None:
    """Reconcile, and again where something changed meanwhile, as the queue does."""
    try:
        await reconcile(world, namespace, name)
    except Conflict:
        await settled(reconcile, world, namespace, name)


@pytest.fixture
def train(world: World, namespace: Namespace) -> Callable[..., Awaitable[JSON]]:
    """Reconcile a TrainingJob once, and give it as it then is."""

    async def reconciled(name: str = "digits") -> JSON:
        await settled(trainingjobs.reconcile, world, namespace.name, name)
        return namespace.get("tj", name)

    return reconciled


@pytest.fixture
def serve(world: World, namespace: Namespace) -> Callable[..., Awaitable[JSON]]:
    async def reconciled(name: str = "digits") -> JSON:
        await settled(inferenceservices.reconcile, world, namespace.name, name)
        return namespace.get("isvc", name)

    return reconciled


@pytest.fixture
def training_job() -> Callable[..., JSON]:
    def make(name: str = "digits", **fields: Any) -> JSON:
        spec = {"model": {"architecture": "cnn"}, "dataset": {"storageUri": "pkg://mnist"}} | fields
        return {
            "apiVersion": "vaka.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": name},
            "spec": spec,
        }

    return make


@pytest.fixture
def inference_service() -> Callable[..., JSON]:
    def make(
        name: str = "digits", model: JSON | None = None, beside: JSON | None = None, **fields: Any
    ) -> JSON:
        """Keywords are fields of the predictor; `beside` are those of the spec."""
        predictor = {"model": model or {"trainingJobRef": {"name": "digits"}}} | fields
        spec = {"predictor": predictor} | (beside or {})
        return {
            "apiVersion": "vaka.dev/v1alpha1",
            "kind": "InferenceService",
            "metadata": {"name": name},
            "spec": spec,
        }

    return make


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Ask again and again until the answer is one, as long as other controllers take."""

    async def ask(question: Callable[[], Any], *, seconds: float = 30) -> Any:
        async with asyncio.timeout(seconds):
            while not (answer := question()):
                await asyncio.sleep(0.05)
        return answer

    return ask


@pytest.fixture
def eventually() -> Callable[..., Awaitable[JSON]]:
    """Reconcile again and again, as the operator does, until the object is as it is looked for."""

    async def found(
        reconcile: Callable[[], Awaitable[JSON]], is_it: Callable[[JSON], Any], *, seconds: float = 30
    ) -> JSON:
        async with asyncio.timeout(seconds):
            while not is_it(resource := await reconcile()):
                await asyncio.sleep(0.2)
        return resource

    return found

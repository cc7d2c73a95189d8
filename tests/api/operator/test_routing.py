"""Routers, canaries and scaling of InferenceServices against a real API server and its controllers."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
Ready = Callable[..., Awaitable[None]]
NOW = "2026-01-01T00:00:00Z"
STORED = {"storageUri": "s3://bucket/digits"}
CANARY = {"predictor": {"model": {"storageUri": "s3://bucket/other"}}, "trafficPercent": 20}
COMPONENT = "app.kubernetes.io/component"


def condition(resource: JSON, kind: str) -> JSON:
    found: list[JSON] = resource["status"]["conditions"]
    return next(c for c in found if c["type"] == kind)


def leads_to(namespace: Any) -> str:
    """The part that the public Service leads to."""
    return str(namespace.get("service", "digits")["spec"]["selector"][COMPONENT])


def names(namespace: Any, kind: str) -> set[str]:
    return {thing["metadata"]["name"] for thing in namespace.list(kind)}


@pytest.fixture
def ready(namespace: Any, until: Any) -> Ready:
    """What a kubelet would say of the pods of a part, once they are there."""

    async def make(component: str, *, count: int = 1) -> None:
        def own() -> list[JSON]:
            found = [p for p in namespace.list("pod") if p["metadata"]["labels"][COMPONENT] == component]
            return [p for p in found if "deletionTimestamp" not in p["metadata"]]

        await until(lambda: len(own()) >= count)
        name = "router" if component == "router" else "server"
        running = {
            "name": name,
            "image": f"{name}:1",
            "imageID": "",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": NOW}},
        }
        conditions = [{"type": "Ready", "status": "True"}]
        for pod in own():
            status = {"phase": "Running", "conditions": conditions, "containerStatuses": [running]}
            namespace.set_status("pod", pod["metadata"]["name"], status)
        deployment = f"digits-{component}"
        await until(lambda: namespace.get("deployment", deployment)["status"].get("readyReplicas") == count)

    return make


async def test_a_service_turns_to_its_router_once_that_is_ready_and_back_before_it_goes(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready
) -> None:
    namespace.create("isvc", inference_service(model=STORED))
    await serve()
    await ready("predictor")
    assert (await serve())["status"]["state"] == "Ready"

    namespace.patch("isvc", "digits", {"spec": {"router": {}}})
    starting = await serve()
    assert leads_to(namespace) == "predictor"
    assert condition(starting, "Ready")["status"] == "True", "the pods answer as before"
    assert condition(starting, "IngressReady")["status"] == "False"
    await ready("router")
    routed = await serve()
    assert (leads_to(namespace), routed["status"]["state"]) == ("router", "Ready")
    assert condition(routed, "IngressReady")["status"] == "True"

    namespace.patch("isvc", "digits", {"spec": {"router": None}})
    plain = await serve()
    assert (leads_to(namespace), plain["status"]["state"]) == ("predictor", "Ready")
    assert names(namespace, "deployment") == {"digits-predictor"}
    assert names(namespace, "configmap") == {"kube-root-ca.crt"}
    assert "router" not in plain["status"]["components"]


async def test_a_service_stays_with_its_router_while_its_pods_do_not_answer(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready
) -> None:
    namespace.create("isvc", inference_service(model=STORED, beside={"router": {}}))
    await serve()
    await ready("router")
    await serve()
    namespace.patch("isvc", "digits", {"spec": {"router": None}})
    await serve()
    assert leads_to(namespace) == "router"
    assert "digits-router" in names(namespace, "deployment")


async def test_a_reconcile_makes_canary_and_router_and_a_second_changes_nothing(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready
) -> None:
    namespace.create("isvc", inference_service(model=STORED, beside={"canary": CANARY}))
    await serve()
    for component in ("predictor", "canary", "router"):
        await ready(component)
    await serve()

    def everything() -> dict[tuple[str, str], str]:
        kinds = ("isvc", "deployment", "service", "netpol", "pdb", "configmap", "hpa")
        return {
            (kind, thing["metadata"]["name"]): thing["metadata"]["resourceVersion"]
            for kind in kinds
            for thing in namespace.list(kind)
            if thing["metadata"]["name"] != "kube-root-ca.crt"
        }

    before = everything()
    parts = ("digits-predictor", "digits-canary", "digits-router")
    assert set(before) == {
        ("isvc", "digits"),
        ("configmap", "digits-router"),
        *(("service", name) for name in ("digits", "digits-predictor", "digits-canary")),
        *((kind, name) for kind in ("deployment", "netpol", "pdb") for name in parts),
    }
    await serve()
    assert everything() == before
    config = namespace.get("configmap", "digits-router")["data"]
    assert namespace.get("service", "digits-canary")["spec"]["clusterIP"] in config["haproxy.cfg"]
    assert "int(20)" in config["state.cfg"]


async def test_a_canary_that_cannot_be_made_leaves_the_service_as_it_is(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready
) -> None:
    broken = {"predictor": {"model": {"storageUri": "file:///m"}}, "trafficPercent": 50}
    namespace.create("isvc", inference_service(model=STORED, beside={"canary": broken}))
    await serve()
    await ready("predictor")
    service = await serve()
    assert condition(service, "PredictorReady")["status"] == "True"
    told = condition(service, "CanaryPredictorReady")
    assert (told["status"], told["reason"]) == ("False", "InvalidSpec")
    assert "canary: spec.canary.predictor.model.storageUri is file:///m" in told["message"]
    assert service["status"]["canary"] == {
        "phase": "Waiting",
        "trafficPercent": 0,
        "message": "no pod of the canary is ready",
    }


async def test_a_canary_that_leaves_the_spec_goes_with_all_that_it_had(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready
) -> None:
    namespace.create("isvc", inference_service(model=STORED, beside={"canary": CANARY}))
    await serve()
    await ready("predictor")
    namespace.patch("isvc", "digits", {"spec": {"canary": None}})
    assert (await serve())["status"]["canary"]["phase"] == "Retiring"
    service = await serve()
    assert {"canary", "traffic"} & set(service["status"]) == {"traffic"}
    assert names(namespace, "deployment") == {"digits-predictor"}
    assert names(namespace, "service") == {"digits", "digits-predictor"}


async def test_kubernetes_own_autoscaler_has_its_way_within_the_bounds(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("isvc", inference_service(model=STORED, maxReplicas=5, scaleTarget=70))
    await serve()
    spec = namespace.get("hpa", "digits-predictor")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 5)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    namespace.patch("deployment", "digits-predictor", {"spec": {"replicas": 4}}, part="/scale")
    await serve()
    assert namespace.get("deployment", "digits-predictor")["spec"]["replicas"] == 4
    namespace.patch("isvc", "digits", {"spec": {"predictor": {"maxReplicas": 3}}})
    await serve()
    assert namespace.get("deployment", "digits-predictor")["spec"]["replicas"] == 3
    namespace.patch("isvc", "digits", {"spec": {"predictor": {"maxReplicas": None}}})
    await serve()
    assert namespace.get("deployment", "digits-predictor")["spec"]["replicas"] == 1
    assert names(namespace, "hpa") == set()


async def test_a_service_that_may_sleep_begins_with_a_pod_and_has_a_router(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("isvc", inference_service(model=STORED, minReplicas=0))
    await serve()
    assert namespace.get("deployment", "digits-predictor")["spec"]["replicas"] == 1
    assert leads_to(namespace) == "router"


async def test_settings_of_the_pods_become_flags_of_the_server(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    batcher = {"maxBatchSize": 8, "maxLatency": 5}
    given = {"containerConcurrency": 4, "timeout": 20, "batcher": batcher}
    namespace.create("isvc", inference_service(model=STORED, **given))
    await serve()
    (container,) = namespace.get("deployment", "digits-predictor")["spec"]["template"]["spec"]["containers"]
    flags = ["--concurrency", "4", "--timeout", "20", "--max-batch-size", "8", "--max-latency", "5"]
    assert container["args"][-8:] == flags


async def test_a_gateway_needs_an_api_that_the_cluster_has(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready
) -> None:
    gateway = {"router": {"gateway": {"name": "web", "hostname": "digits.example"}}}
    namespace.create("isvc", inference_service(model=STORED, beside=gateway))
    await serve()
    for component in ("predictor", "router"):
        await ready(component)
    service = await serve()
    told = condition(service, "IngressReady")
    assert (told["status"], told["reason"]) == ("False", "GatewayApiMissing")
    assert condition(service, "Ready")["status"] == "True"


@pytest.fixture
def gateway_api(api: Any) -> Iterator[None]:
    """As much of the Gateway API as an HTTPRoute needs."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": free}}},
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "httproutes.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": "gateway.networking.k8s.io",
            "scope": "Namespaced",
            "names": {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"},
            "versions": [version],
        },
    }
    root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api("POST", root, definition)
    yield
    api("DELETE", f"{root}/httproutes.gateway.networking.k8s.io")


@pytest.mark.usefixtures("gateway_api")
async def test_a_gateway_leads_to_the_public_service_and_its_word_is_told(
    namespace: Any, inference_service: Any, serve: Reconcile, ready: Ready, eventually: Any
) -> None:
    gateway = {"name": "web", "namespace": "infra", "hostname": "digits.example"}
    namespace.create("isvc", inference_service(model=STORED, beside={"router": {"gateway": gateway}}))
    await serve()
    for component in ("predictor", "router"):
        await ready(component)

    def reason(service: JSON) -> str:
        return str(condition(service, "IngressReady")["reason"])

    await eventually(serve, lambda service: reason(service) == "GatewayPending")
    spec = namespace.get("httproute", "digits")["spec"]
    assert spec["parentRefs"] == [{"name": "web", "namespace": "infra"}]
    assert spec["rules"] == [{"backendRefs": [{"name": "digits", "port": 80}]}]
    accepted = {"parents": [{"conditions": [{"type": "Accepted", "status": "True"}]}]}
    namespace.set_status("httproute", "digits", accepted)
    assert reason(await serve()) == "Ready"
    namespace.patch("isvc", "digits", {"spec": {"router": {"gateway": None}}})
    await serve()
    assert names(namespace, "httproute") == set()

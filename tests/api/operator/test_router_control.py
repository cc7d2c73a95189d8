"""The reconcile and a real router: what it is told, and what its counts lead to.

HAProxy runs here with the configuration of the ConfigMap, in place of the pod that no kubelet starts.
"""

import asyncio
import contextlib
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(not shutil.which("haproxy"), reason="there is no haproxy: apt-get install haproxy"),
]

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
STORED = {"storageUri": "s3://bucket/digits"}
CANARY: JSON = {"predictor": {"model": {"storageUri": "s3://bucket/other"}}, "trafficPercent": 20}
COMPONENT = "app.kubernetes.io/component"


PORTS = {"predictor": 81, "canary": 82}


def set_running(namespace: Any, pod: JSON, *, ip: str | None = None) -> None:
    component = pod["metadata"]["labels"][COMPONENT]
    container = {
        "name": "router" if component == "router" else "server",
        "image": "i",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [container],
    }
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    namespace.set_status("pod", pod["metadata"]["name"], status)


class Kubelet:
    """Has all pods of a service run: routers for real, at an address of their own, and servers in name."""

    def __init__(self, namespace: Any, until: Any, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self._namespace, self._until, self._folder, self._stack = namespace, until, folder, stack
        self.ip = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"

    async def run(self, *components: str) -> None:
        for component in components:
            pod = await self._until(lambda component=component: self._pod(component))
            if component == "router":
                await self._start_router()
            set_running(self._namespace, pod, ip=self.ip if component == "router" else None)
            name = f"digits-{component}"
            await self._until(lambda name=name: self._ready(name))

    async def ask(self) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://{self.ip}:8080", timeout=30) as client:
            return await client.post("/v1/models/digits:predict", content=b"{}")

    def _pod(self, component: str) -> JSON | None:
        pods = self._namespace.list("pod")
        return next((p for p in pods if p["metadata"]["labels"][COMPONENT] == component), None)

    def _ready(self, deployment: str) -> bool:
        return bool(self._namespace.get("deployment", deployment)["status"].get("readyReplicas"))

    async def _start_router(self) -> None:
        services = {s["metadata"]["name"]: s["spec"]["clusterIP"] for s in self._namespace.list("service")}
        for name, text in self._namespace.get("configmap", "digits-router")["data"].items():
            moved = text.replace("bind :", f"bind {self.ip}:").replace("/tmp/", f"{self._folder}/")
            for component, port in PORTS.items():  # of Services that lead nowhere here
                address = services.get(f"digits-{component}", "none")
                moved = moved.replace(f"addr {address} port 80", f"addr {self.ip} port {port}")
                moved = moved.replace(f"{address}:80 ", f"{self.ip}:{port} ")
                moved = moved.replace(f"{address}:9000 ", f"{self.ip}:{port} ")
            (self._folder / name).write_text(moved.replace("abns@", f"abns@{uuid4().hex[:8]}-"))
        files = [str(self._folder / name) for name in ("haproxy.cfg", "state.cfg")]
        process = subprocess.Popen(["haproxy", "-db", "-f", files[0], "-f", files[1]])
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await client.get(f"http://{self.ip}:8404/healthz")
                    return
                await asyncio.sleep(0.05)


@pytest.fixture
async def kubelet(namespace: Any, until: Any, tmp_path: Path) -> AsyncIterator[Kubelet]:
    async with contextlib.AsyncExitStack() as stack:
        yield Kubelet(namespace, until, tmp_path, stack)


async def test_the_canary_has_what_the_spec_says_once_its_pods_are_ready(
    namespace: Any, inference_service: Any, serve: Reconcile, kubelet: Kubelet
) -> None:
    namespace.create("isvc", inference_service(model=STORED, beside={"canary": CANARY}))
    await serve()
    await kubelet.run("predictor", "router")
    await serve()
    assert (await serve())["status"]["canary"] == {
        "phase": "Waiting",
        "trafficPercent": 0,
        "message": "no pod of the canary is ready",
    }
    await kubelet.run("canary")
    assert (await serve())["status"]["canary"] == {"phase": "Manual", "trafficPercent": 20}
    namespace.patch("isvc", "digits", {"spec": {"canary": {"trafficPercent": 55}}})
    service = await serve()
    assert service["status"]["canary"]["trafficPercent"] == 55
    assert [target["percent"] for target in service["status"]["traffic"]] == [45, 55]


async def test_a_promoted_canary_answers_until_the_predictor_does(
    namespace: Any, inference_service: Any, serve: Reconcile, kubelet: Kubelet
) -> None:
    full = CANARY | {"trafficPercent": 100}
    namespace.create("isvc", inference_service(model=STORED, beside={"canary": full}))
    await serve()
    await kubelet.run("predictor", "canary", "router")
    await serve()
    assert (await serve())["status"]["canary"]["trafficPercent"] == 100
    promoted = {"canary": None, "predictor": {"model": CANARY["predictor"]["model"]}}
    namespace.patch("isvc", "digits", {"spec": promoted})
    status = (await serve())["status"]["canary"]
    assert (status["phase"], status["trafficPercent"]) == ("Retiring", 100)
    assert "digits-canary" in {d["metadata"]["name"] for d in namespace.list("deployment")}


async def test_a_service_sleeps_when_nobody_asks_and_wakes_when_somebody_does(
    namespace: Any, inference_service: Any, serve: Reconcile, kubelet: Kubelet, eventually: Any
) -> None:
    namespace.create("isvc", inference_service(model=STORED, minReplicas=0, scaleDownDelay=1))
    await serve()
    await kubelet.run("predictor", "router")

    def replicas() -> int:
        return int(namespace.get("deployment", "digits-predictor")["spec"]["replicas"])

    await eventually(serve, lambda _: replicas() == 0)
    asleep = await eventually(serve, lambda service: service["status"]["state"] == "ScaledToZero")
    assert {c["type"]: c["status"] for c in asleep["status"]["conditions"]}["Ready"] == "True"
    request = asyncio.create_task(kubelet.ask())
    woken = await eventually(serve, lambda _: replicas() == 1)
    assert woken["status"]["scaling"]["wokenAt"]
    request.cancel()
    await kubelet.run("predictor")
    took = (await serve())["status"]["scaling"]["coldStartMilliseconds"]
    assert 0 < took < 30_000


async def test_requests_in_flight_make_more_pods(
    namespace: Any, inference_service: Any, serve: Reconcile, kubelet: Kubelet, eventually: Any
) -> None:
    counted = {"maxReplicas": 3, "scaleMetric": "concurrency", "scaleTarget": 2}
    namespace.create("isvc", inference_service(model=STORED, **counted))
    await serve()
    await kubelet.run("predictor", "router")
    waiting = [asyncio.create_task(kubelet.ask()) for _ in range(4)]

    def replicas() -> int:
        return int(namespace.get("deployment", "digits-predictor")["spec"]["replicas"])

    await eventually(serve, lambda _: replicas() == 2)
    assert namespace.list("hpa") == []
    for request in waiting:
        request.cancel()


@contextlib.asynccontextmanager
async def broken(host: str, port: int) -> AsyncIterator[None]:
    """A server that says it is ready and answers nothing but errors."""
    clients: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                is_probe = head.startswith(b"GET")
                await reader.readexactly(0 if is_probe else 2)
                status = b"200 OK" if is_probe else b"500 No"
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n\r\n" % status)
        writer.close()

    async with await asyncio.start_server(answer, host, port):
        yield
    for writer in clients:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in clients), return_exceptions=True)


async def test_a_canary_that_makes_errors_loses_its_traffic_and_tells_why(
    namespace: Any, inference_service: Any, serve: Reconcile, kubelet: Kubelet, eventually: Any
) -> None:
    canary = {"predictor": CANARY["predictor"], "gates": {"steps": [100], "minRequests": 5}}
    namespace.create("isvc", inference_service(model=STORED, beside={"canary": canary}))
    await serve()
    async with broken(kubelet.ip, PORTS["canary"]):
        await kubelet.run("predictor", "canary", "router")
        await eventually(serve, lambda service: service["status"]["canary"]["trafficPercent"] == 100)
        assert {(await kubelet.ask()).status_code for _ in range(5)} == {500}
        status = (await serve())["status"]
    assert (status["canary"]["phase"], status["canary"]["figures"]["requests"]) == ("RolledBack", 5)
    told = next(c for c in status["conditions"] if c["type"] == "CanaryPredictorReady")
    assert (told["status"], told["reason"]) == ("False", "CanaryRolledBack")
    assert "5 of 5 answers were errors" in told["message"]
    assert "CanaryRolledBack" in {event["reason"] for event in namespace.list("event")}
    assert (await serve())["status"]["canary"]["trafficPercent"] == 0

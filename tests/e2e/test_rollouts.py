"""Whatever changes about a service, under load: no request fails."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]

# VAKA_ROLLOUT_REPEATS=20 is the full trial.
REPEATS = int(os.environ.get("VAKA_ROLLOUT_REPEATS", "1"))
KINDS = ("plain", "routed")


@pytest.mark.parametrize("kind", KINDS)
def test_another_model_fails_no_request(team: Any, service: Any, kind: str) -> None:
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


def test_a_canary_comes_takes_over_and_goes_without_a_failed_request(team: Any, service: Any) -> None:
    it = service(routed=False)
    with it.under_load():
        for _ in range(REPEATS):
            for percent in (0, 50, 100):
                canary = {"predictor": {"model": team.model("b")}, "trafficPercent": percent}
                it.change(canary=canary)
                it.settled(canary=percent)
            it.change(canary=None, predictor={"model": team.model("b")})
            assert it.settled(canary=None)["status"]["modelStatus"]["digest"] == team.model("b")["digest"]
            it.gone("canary", "router")
            it.change(predictor={"model": team.model("a")})
            it.settled()


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
            it.gone("router")


def test_a_service_sleeps_and_every_request_that_wakes_it_is_answered(service: Any) -> None:
    it = service(routed=False, minReplicas=0, scaleDownDelay=5)
    for _ in range(REPEATS):
        it.settled(state="ScaledToZero")
        it.gone("predictor")
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

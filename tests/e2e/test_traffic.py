"""What stands in front of a service, and what decides about its pods, with real pods."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.cgroups import cgroup_name
from vaka.devcluster.pki import Identity, issue, new_authority

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

KEY = "a-long-random-word"


def secret(name: str, kind: str = "Opaque", **content: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": kind,
        "stringData": content,
    }


def test_only_who_has_a_key_is_answered_and_only_over_tls(team: Any, service: Any) -> None:
    pair = issue(new_authority("test"), Identity("service", hosts=("service",)))
    team.apply(secret("keys", keys=KEY))
    content = {"tls.crt": pair.certificate_pem.decode(), "tls.key": pair.key_pem.decode()}
    team.apply(secret("tls", "kubernetes.io/tls", **content))
    it = service(
        router={
            "tls": {"secretRef": {"name": "tls"}},
            "auth": {"apiKeys": {"secretRef": {"name": "keys"}}},
            "maxRequestSize": "16Ki",
        }
    )
    url, key = it.url.replace("http://", "https://"), ("-H", f"Authorization: Bearer {KEY}")
    assert it.curl(url, "-k", *key)[0] == 200
    assert it.curl(url, "-k")[0] == 401
    assert it.curl(url, "-k", "-H", "Authorization: Bearer other")[0] == 401
    assert it.curl(url, "-k", *key, images=8)[0] == 413
    assert it.curl(it.url, *key)[0] == 0


def test_who_sends_too_much_is_told_to_wait(service: Any) -> None:
    it = service(router={"rateLimit": {"requestsPerSecond": 2}})
    codes = [it.curl(it.url)[0] for _ in range(30)]
    assert set(codes) == {200, 429}


def test_gates_take_a_good_canary_to_all_requests(team: Any, service: Any, until: Any) -> None:
    it = service()
    gates = {"steps": [50, 100], "interval": 1, "minRequests": 20, "maxLatencyRatio": 1000}
    with it.under_load():
        it.change(canary={"predictor": {"model": team.model("b")}, "gates": gates})
        canary = until(lambda: decided(it, "Promoted"))
    assert canary["trafficPercent"] == 100
    assert float(canary["figures"]["errorRate"]) == 0


def test_gates_take_a_canary_back_that_disagrees(
    team: Any, service: Any, training_job: Any, until: Any
) -> None:
    nothing_learned = {"epochs": 1, "width": 4, "learningRate": 1e-9}
    model = {"architecture": "cnn", "hyperparameters": nothing_learned}
    team.apply(training_job("untrained", model=model))
    team.wait("tj/untrained", "Complete", seconds=240)
    it = service()
    gates = {"steps": [1, 100], "interval": 1, "minRequests": 1, "maxLatencyRatio": 1000, "minAgreement": 1}
    with it.under_load():
        it.change(
            canary={"predictor": {"model": team.model("untrained")}, "shadowPercent": 100, "gates": gates}
        )
        canary = until(lambda: decided(it, "RolledBack"))
    assert canary["trafficPercent"] == 0
    assert float(canary["figures"]["agreement"]) < 1


def decided(service: Any, phase: str) -> Any:
    canary = service.status.get("canary", {})
    return canary if canary.get("phase") == phase else None


def test_a_busy_service_gets_another_pod(service: Any, until: Any) -> None:
    it = service(maxReplicas=2, scaleTarget=20, resources={"requests": {"cpu": "100m", "memory": "256Mi"}})
    with it.under_load():
        until(lambda: it.status["replicas"]["ready"] == 2, seconds=300)


def test_a_server_killed_inside_its_container_fails_no_request(cluster: Any, service: Any) -> None:
    it = service(routed=True, minReplicas=2)
    with it.under_load():
        for _ in range(4):
            os.kill(newest_worker(cluster.name), signal.SIGKILL)
            it.settled()
            it.ask()


def newest_worker(cluster: str) -> int:
    """A process of a server in a pod: the one that was started last."""

    def is_server(process: Path) -> bool:
        try:
            command = (process / "cmdline").read_bytes()
            return b"vaka.cli" in command and f"{cgroup_name(cluster)}/" in (process / "cgroup").read_text()
        except OSError:
            return False

    return max(int(process.name) for process in Path("/proc").glob("[0-9]*") if is_server(process))

"""A real Prometheus inside the cluster's network finds and scrapes operator, trainer and server."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.e2e
ADDRESS = "127.0.0.1:19090"  # in the cluster's network namespace


ANNOTATION = "prometheus.io/"


def configuration(targets: Path) -> dict[str, Any]:
    """Debian's Prometheus has no discovery of its own for Kubernetes: the test writes a file of targets."""
    pods = {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}
    return {"global": {"scrape_interval": "1s"}, "scrape_configs": [pods]}


class Prometheus:
    def __init__(self, cluster: Any, targets: Path) -> None:
        self.cluster = cluster
        self.targets = targets

    def discover(self) -> None:
        """Have every pod scraped that asks for it by the usual annotations."""
        found = json.loads(self.cluster.kubectl("get", "pods", "-A", "-o", "json"))["items"]
        asking = [
            p for p in found if p["metadata"].get("annotations", {}).get(f"{ANNOTATION}scrape") == "true"
        ]
        draft = self.targets.with_suffix(".draft")
        draft.write_text(json.dumps([target(p) for p in asking if p["status"].get("podIP")]))
        draft.rename(self.targets)

    def ask(self, query: str) -> list[dict[str, Any]]:
        url = f"http://{ADDRESS}/api/v1/query"
        command = self.cluster.inside("curl", "-sf", "--get", url, "--data-urlencode", f"query={query}")
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode:
            return []
        found: list[dict[str, Any]] = json.loads(result.stdout)["data"]["result"]
        return found

    def wait(self, query: str, *, seconds: float = 60) -> list[dict[str, Any]]:
        """Ask until there is an answer; Prometheus has no way to be told when."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.discover()
            if found := self.ask(query):
                return found
            time.sleep(0.5)
        pytest.fail(f"Prometheus has no answer to {query} after {seconds} s; up: {self.ask('up')}")


def target(pod: dict[str, Any]) -> dict[str, Any]:
    meta = pod["metadata"]
    port = meta["annotations"][f"{ANNOTATION}port"]
    labels = {"namespace": meta["namespace"], "pod": meta["name"]}
    return {"targets": [f"{pod['status']['podIP']}:{port}"], "labels": labels}


@pytest.fixture(scope="module")
def prometheus(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    config, targets = folder / "prometheus.yml", folder / "targets.json"
    config.write_text(yaml.safe_dump(configuration(targets)))
    command = cluster.inside(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={ADDRESS}",
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        yield Prometheus(cluster, targets)
        process.terminate()
        process.wait()


def test_the_operator_is_scraped(prometheus: Prometheus) -> None:
    assert prometheus.wait('vaka_operator_reconcile_total{kind="TrainingJob"} > 0')


def test_a_trainer_is_scraped_while_it_trains(
    prometheus: Prometheus, namespace: Any, training_job: Any
) -> None:
    long = {"architecture": "cnn", "hyperparameters": {"epochs": 100}}
    namespace.apply(training_job(model=long))
    found = prometheus.wait(f'{{__name__=~"vaka_training_.*step.*",namespace="{namespace.name}"}} > 0')
    assert found[0]["metric"]["pod"].startswith("job-")


def test_a_server_is_scraped_and_counts_its_requests(prometheus: Prometheus, cluster: Any) -> None:
    assert cluster
    assert prometheus.wait('vaka_server_requests_total{namespace="demo"} > 0')

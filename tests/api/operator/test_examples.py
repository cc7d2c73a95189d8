"""The examples, applied as people do."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from vaka.devcluster.binaries import programs
from vaka.devcluster.folders import cache_root

pytestmark = pytest.mark.api

JSON = dict[str, Any]
EXAMPLES = Path(__file__).parents[3] / "examples"
Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(kubeconfig: Path, namespace: Any, api: Any) -> Kubectl:
    assert api
    program = str(programs(cache_root())["kubectl"])

    def run(*arguments: str) -> str:
        argv = [program, f"--kubeconfig={kubeconfig}", f"--namespace={namespace.name}", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "would violate PodSecurity" not in done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def queues(api: Any) -> None:
    """Kueue's kinds as far as the examples name them: what is in them is Kueue's to check."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta2", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    for kind, scope in (
        ("ResourceFlavor", "Cluster"),
        ("ClusterQueue", "Cluster"),
        ("LocalQueue", "Namespaced"),
    ):
        plural, group = f"{kind.lower()}s", "kueue.x-k8s.io"
        names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
        spec = {"group": group, "scope": scope, "names": names, "versions": [version]}
        api.define({"metadata": {"name": f"{plural}.{group}"}, "spec": spec})


@pytest.mark.usefixtures("queues")
@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_api_server_takes_every_example(kubectl: Kubectl, file: Path) -> None:
    kubectl("apply", "--server-side", "--validate=strict", f"--filename={file}")


@pytest.mark.parametrize(("name", "pods"), [("three-nodes", 3), ("custom", 1)])
async def test_the_pods_of_an_example_are_admitted(
    kubectl: Kubectl,
    namespace: Any,
    train: Callable[..., Awaitable[JSON]],
    until: Any,
    name: str,
    pods: int,
) -> None:
    file = {"custom": "custom-container"}.get(name, name)
    kubectl("apply", "--server-side", f"--filename={EXAMPLES / file}.yaml")
    job = await train(name)
    assert job["status"]["state"] == "JobCreated"
    await until(lambda: len(namespace.list("pod")) == pods)


async def test_each_pod_of_the_batch_has_its_own_share(kubectl: Kubectl, namespace: Any, until: Any) -> None:
    kubectl("apply", "--server-side", f"--filename={EXAMPLES / 'batch-predict.yaml'}")
    pods = await until(lambda: (found := namespace.list("pod")) and len(found) == 4 and found)
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        assert "--shard=$(JOB_COMPLETION_INDEX)/4" in container["args"]
        (variable,) = [v for v in container["env"] if v["name"] == "JOB_COMPLETION_INDEX"]
        assert variable["valueFrom"]["fieldRef"]["fieldPath"] in (
            index,
            "metadata.labels['batch.kubernetes.io/job-completion-index']",
        )
    assert len(pods) == namespace.get("job", "batch-predict")["spec"]["completions"]


def test_the_nightly_job_is_created_once_with_the_rights_that_the_example_grants(
    api: Any, kubectl: Kubectl, kubeconfig: Path, namespace: Any, tmp_path: Path
) -> None:
    kubectl("apply", "--server-side", f"--filename={EXAMPLES / 'nightly.yaml'}")
    cron, config, *_ = yaml.safe_load_all((EXAMPLES / "nightly.yaml").read_text())
    container = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    (tmp_path / "job.yaml").write_text(config["data"]["job.yaml"])
    program, _ = container["args"]
    settings = json.loads(kubeconfig.read_text())
    settings["users"][0]["user"] = {"token": kubectl("create", "token", "nightly").strip()}
    (tmp_path / "kubeconfig").write_text(json.dumps(settings))
    env = {
        **os.environ,
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "NAMESPACE": namespace.name,
        "RUN_NAME": "nightly-29000000",
    }
    for _ in range(2):
        argv = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "job.yaml")]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (job,) = namespace.list("tj")
    assert job["metadata"]["name"] == "nightly-29000000"
    service = yaml.safe_load((EXAMPLES / "nightly-service.yaml").read_text())
    reference = service["spec"]["predictor"]["model"]["trainingJobRef"]
    assert job["metadata"]["labels"] == reference["selector"]["matchLabels"]
    assert api

"""The control plane that the api tests run against."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.bare import bare_cluster
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.supervisor import read_state

pytestmark = pytest.mark.api

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "job"},
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "c", "image": "none", "command": ["x"]}],
            }
        }
    },
}


def kubectl(kubeconfig: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    argv = [str(kubeconfig.parent / "bin/kubectl"), "--kubeconfig", str(kubeconfig), *arguments]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=False)


def get(kubeconfig: Path, *arguments: str) -> Any:
    return json.loads(kubectl(kubeconfig, "get", "-o", "json", *arguments).stdout)


@pytest.fixture(scope="module")
def kubeconfig() -> Any:
    with bare_cluster(nodes=2) as path:
        yield path


def test_controllers_work_and_fake_nodes_run_pods(kubeconfig: Path) -> None:
    assert kubectl(kubeconfig, "apply", "-f", "-", text=json.dumps(JOB)).returncode == 0
    kubectl(kubeconfig, "wait", "--for=condition=Complete", "job/job", "--timeout=30s")
    assert get(kubeconfig, "job", "job")["status"]["succeeded"] == 1
    pod = get(kubeconfig, "pod", "-l", "job-name=job")["items"][0]
    assert pod["spec"]["nodeName"] in ("fake-0", "fake-1")


def test_pod_security_is_enforced(kubeconfig: Path) -> None:
    kubectl(kubeconfig, "create", "namespace", "strict")
    kubectl(kubeconfig, "label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    answer = kubectl(kubeconfig, "run", "pod", "--image=none", "--namespace=strict")
    assert 'violates PodSecurity "restricted' in answer.stderr


def test_access_is_denied_unless_a_role_grants_it(kubeconfig: Path) -> None:
    account = "--as=system:serviceaccount:default:default"
    assert kubectl(kubeconfig, "auth", "can-i", "list", "pods", account).stdout.strip() == "no"
    assert kubectl(kubeconfig, "auth", "can-i", "list", "pods").stdout.strip() == "yes"


def test_it_ends_with_whoever_started_it_even_by_sigkill() -> None:
    program = (
        "from vaka.devcluster.bare import bare_cluster\n"
        "with bare_cluster() as path: print(path, flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    folder = ClusterFolder(Path(process.stdout.readline().strip()).parent)
    components = read_state(folder.state).components.values()
    ends = [os.pidfd_open(each.pid) for each in components if each.state == "ready"]
    assert len(ends) == 4
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for descriptor in ends:
        assert select.select([descriptor], [], [], 10)[0], "a component outlived the process it belonged to"
        os.close(descriptor)

"""An embedded cluster's life: beside another, broken, repaired, replaced and gone without a trace."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.cgroups import hierarchies
from vaka.devcluster.process import children, end, supervisor_pid

pytestmark = pytest.mark.cluster


@pytest.fixture
def two(one: Any) -> Iterator[Any]:
    """A second cluster, not up yet."""
    vaka = type(one)("test-two")
    yield vaka
    vaka.cluster("down")


def traces(name: str) -> dict[str, set[str]]:
    """What of a cluster of that name is on this machine."""
    path = f"/clusters/{name}"
    mounts = Path("/proc/mounts").read_text()
    processes = {p.parent.name for p in Path("/proc").glob("[0-9]*/cmdline") if path in _text(p)}
    groups = {str(m / f"vaka-{name}") for m in hierarchies(mounts) if (m / f"vaka-{name}").exists()}
    return {
        "processes": processes,
        "cgroups": groups,
        "mounts": {line for line in mounts.splitlines() if path in line},
        "namespaces": {str(_network(int(pid))) for pid in processes} - {str(_network(os.getpid()))},
    }


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _network(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/net").st_ino


def test_up_says_at_once_that_it_is_up(one: Any) -> None:
    begun = time.monotonic()
    answer = one.cluster("up")
    assert answer.returncode == 0
    assert "cluster test-one is up already" in answer.stderr
    assert time.monotonic() - begun < 5


def test_status_says_what_runs_and_where(one: Any) -> None:
    answer = one.cluster("status")
    assert answer.returncode == 0
    assert "cluster test-one (embedded) is ready" in answer.stdout
    assert f"kubeconfig: {one.folder.kubeconfig}" in answer.stdout
    assert stat.S_IMODE(one.folder.kubeconfig.stat().st_mode) == 0o600


@pytest.mark.parametrize("program", ["kube-apiserver", "containerd", "kubelet"])
def test_a_component_that_is_killed_comes_back(one: Any, program: str) -> None:
    before = one.component(program)
    assert end(before)
    answer = one.cluster("up")
    assert answer.returncode == 0, answer.stderr
    assert one.component(program) != before
    one.kubectl("wait", "--for=condition=Ready", "node/vaka", "--timeout=60s")


def test_a_killed_cluster_is_repaired_with_all_it_held(one: Any) -> None:
    one.kubectl("create", "configmap", "kept")
    pid = supervisor_pid(one.folder)
    assert pid
    assert all(end(each) for each in (*children(pid), pid))
    stopped = one.cluster("status")
    assert (stopped.returncode, "has stopped" in stopped.stdout) == (1, True)
    answer = one.cluster("up")
    assert answer.returncode == 0, answer.stderr
    one.kubectl("delete", "configmap", "kept")


def test_two_run_side_by_side_and_one_goes_without_a_trace(one: Any, two: Any) -> None:
    before = set(os.listdir("/proc/sys/net/ipv4/conf"))
    answer = two.cluster("up")
    assert answer.returncode == 0, answer.stderr
    assert {kind for kind, found in traces("test-two").items() if found} == {
        "processes",
        "cgroups",
        "namespaces",
    }
    two.kubectl("create", "namespace", "only-here")
    assert "only-here" not in one.kubectl("get", "namespaces", "--output=name")
    assert two.cluster("down").returncode == 0
    assert {kind for kind, found in traces("test-two").items() if found} == set()
    assert not two.folder.root.exists()
    assert set(os.listdir("/proc/sys/net/ipv4/conf")) == before
    assert one.cluster("status").returncode == 0


def test_an_interrupted_up_is_continued(two: Any) -> None:
    with subprocess.Popen(two.command("up"), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "etcd ready" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    answer = two.cluster("up")
    assert answer.returncode == 0, answer.stderr


def test_what_cannot_be_repaired_is_replaced(two: Any) -> None:
    (two.folder.pki).mkdir(parents=True)
    answer = two.cluster("up")
    assert answer.returncode == 0, answer.stderr
    assert "cannot be repaired" in answer.stderr

"""The operator may be killed at any time: no job is lost, doubled or misreported."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.cgroups import cgroup_name

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
# VAKA_KILL_JOBS=10 VAKA_KILLS=50 is the full trial, of two minutes.
JOBS = int(os.environ.get("VAKA_KILL_JOBS", "3"))
KILLS = int(os.environ.get("VAKA_KILLS", "8"))


def operators(cluster: str) -> list[int]:
    """Processes of this cluster's operator, seen from the host."""

    def is_operator(process: Path) -> bool:
        try:
            return (
                b"vaka_operator" in (process / "cmdline").read_bytes()
                and f"{cgroup_name(cluster)}/" in (process / "cgroup").read_text()
            )
        except OSError:
            return False

    return [int(p.name) for p in Path("/proc").glob("[0-9]*") if is_operator(p)]


def kill_operator(cluster: str, seconds: float = 60) -> None:
    """SIGKILL the operator, however long its container waits to be started again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := operators(cluster):
            for pid in found:
                os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)
    pytest.fail("no operator came back to be killed")


def test_jobs_survive_an_operator_that_is_killed_again_and_again(
    cluster: Any, namespace: Any, training_job: Any
) -> None:
    chance = random.Random(0)
    for number in range(JOBS):
        namespace.apply(training_job(f"job-{number}"))
    for _ in range(KILLS):
        # A new pod starts at once; a killed container would wait longer after each kill.
        kill_operator(cluster.name)
        cluster.kubectl("-n", "vaka-system", "delete", "pod", "--all", "--force", "--grace-period=0")
        time.sleep(chance.uniform(0, 3))
    for number in range(JOBS):
        status = namespace.wait(f"tj/job-{number}", "Complete", seconds=300)["status"]
        assert status["model"]["digest"].startswith("sha256:")
        assert status.get("restarts", 0) == 0
    jobs = json.loads(namespace.kubectl("get", "jobs", "-o", "json"))["items"]
    pods = json.loads(namespace.kubectl("get", "pods", "-o", "json"))["items"]
    assert len(jobs) == JOBS
    assert len(pods) == JOBS

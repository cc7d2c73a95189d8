import itertools
import json
from pathlib import Path

import pytest

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.readiness import wait_ready


@pytest.fixture
def folder(tmp_path: Path) -> ClusterFolder:
    folder = ClusterFolder(tmp_path)
    folder.logs.mkdir()
    return folder


def write_state(folder: ClusterFolder, **components: dict[str, object]) -> None:
    folder.state.write_text(json.dumps({"components": components}))


def test_each_component_is_told_of_once(folder: ClusterFolder) -> None:
    write_state(folder, etcd={"state": "ready", "seconds": 0.25}, addons={"state": "done", "seconds": 2.0})
    told: list[str] = []
    wait_ready(folder, alive=lambda: True, within_s=1, say=told.append)
    assert told == ["etcd ready (0.2 s)", "addons ready (2.0 s)"]


def test_a_dead_supervisor_is_told_with_its_last_line(folder: ClusterFolder) -> None:
    folder.log("supervisor").write_text("Traceback\nmount: permission denied\n")
    with pytest.raises(ClusterError, match="the cluster's supervisor ended: mount: permission denied"):
        wait_ready(folder, alive=lambda: False, within_s=1)


def test_a_component_that_keeps_ending_is_told_before_the_time_is_up(folder: ClusterFolder) -> None:
    folder.log("etcd").write_text("disk full\n")
    restarts = itertools.count(7)

    def fail_again() -> bool:
        failed = {"state": "stopped", "restarts": next(restarts), "message": "ended with exit status 1"}
        write_state(folder, etcd=failed)
        return True

    fail_again()
    with pytest.raises(
        ClusterError, match=r"etcd is stopped \(ended with exit status 1, 12 restarts\): disk full"
    ):
        wait_ready(folder, alive=fail_again, within_s=60)


def test_what_is_still_starting_is_told_when_the_time_is_up(folder: ClusterFolder) -> None:
    write_state(folder, etcd={"state": "ready"}, kubelet={"state": "starting"}, dns={"state": "waiting"})
    with pytest.raises(ClusterError, match=r"not ready after 0 s: kubelet is starting \(no answer yet"):
        wait_ready(folder, alive=lambda: True, within_s=0)

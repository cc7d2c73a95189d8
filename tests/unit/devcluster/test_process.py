import os
import threading
from pathlib import Path

import pytest

from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.process import children, end, locked, remove_folder, start_detached, supervisor_pid


@pytest.fixture
def folder(tmp_path: Path) -> ClusterFolder:
    folder = ClusterFolder(tmp_path / "cluster")
    folder.logs.mkdir(parents=True)
    return folder


def start(folder: ClusterFolder, script: str = "sleep 60") -> int:
    start_detached(folder, ["sh", "-c", f"{script} & wait", str(folder.root)])
    pid = supervisor_pid(folder)
    assert pid
    return pid


def test_a_detached_process_is_found_until_it_ends(folder: ClusterFolder) -> None:
    pid = start(folder)
    assert supervisor_pid(folder) == pid
    assert all(end(each) for each in (*children(pid), pid))
    assert supervisor_pid(folder) is None


def test_a_pid_that_another_process_has_by_now_is_not_taken_for_ours(folder: ClusterFolder) -> None:
    folder.pid.write_text(f"{os.getpid()} 1")
    assert supervisor_pid(folder) is None


@pytest.mark.parametrize("text", ["", "x", "1", "999999999 1"])
def test_a_pid_file_that_means_nothing_is_no_process(folder: ClusterFolder, text: str) -> None:
    folder.pid.write_text(text)
    assert supervisor_pid(folder) is None


def test_only_one_holds_the_lock_and_the_next_gets_a_new_folder(folder: ClusterFolder) -> None:
    waiting, got = threading.Event(), threading.Event()

    def second() -> None:
        with locked(folder, lambda _: waiting.set()):
            got.set()

    with locked(folder, print):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(5)
        assert not got.is_set()
        remove_folder(folder)
    thread.join(5)
    assert got.is_set()
    assert folder.root.is_dir()

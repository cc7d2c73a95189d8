"""The trainer as a process: reports from the start, waits, obeys SIGTERM, and its exit code tells."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, RUN_ENV, Report
from vaka.api.run import Run
from vaka.artifacts.read import open_model
from vaka.training.environment import LISTEN_ENV, TERMINATION_ENV, THREADS_ENV

RunOn = Callable[..., Run]


class Trainer:
    """A running trainer and the address of its report."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._folder = folder
        assert process.stderr
        self.url = f"http://127.0.0.1:{json.loads(process.stderr.readline())['port']}/report"

    def report(self) -> Report:
        return msgspec.json.decode(httpx.get(self.url).content, type=Report)

    def until(self, reason: str) -> Report:
        while (report := self.report()).reason != reason:
            time.sleep(0.02)
        return report

    def end(self) -> tuple[int, Report]:
        self.process.communicate()
        last = (self._folder / "termination").read_bytes()
        return self.process.returncode, msgspec.json.decode(last, type=Report)


def start(folder: Path, run: str) -> subprocess.Popen[str]:
    environment = os.environ | {
        RUN_ENV: run,
        LISTEN_ENV: "127.0.0.1:0",
        TERMINATION_ENV: str(folder / "termination"),
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "vaka.training"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@contextmanager
def trainer(folder: Path, run: Run) -> Iterator[Trainer]:
    with start(folder, msgspec.json.encode(run).decode()) as process:
        try:
            yield Trainer(process, folder)
        finally:
            process.kill()


def test_it_waits_for_its_data_then_trains_and_publishes(
    tmp_path: Path, run_on: RunOn, write_shades: Callable[[Path], None]
) -> None:
    with trainer(tmp_path, run_on(tmp_path)) as running:
        waiting = running.until("DatasetNotFound")
        assert waiting.waiting
        assert str(tmp_path / "shades") in waiting.message
        write_shades(tmp_path / "draft")
        (tmp_path / "draft").rename(tmp_path / "shades")
        code, last = running.end()
    assert (code, last.reason, last.progress_percentage) == (0, "Succeeded", 100)
    assert last.model
    assert open_model(tmp_path / "model", digest=last.model.digest).name == "shades"
    assert not list(tmp_path.glob("vaka-*")), "scratch is left behind"


def test_sigterm_ends_it_at_once(tmp_path: Path, run_on: RunOn) -> None:
    with trainer(tmp_path, run_on(tmp_path)) as running:
        running.until("DatasetNotFound")
        running.process.send_signal(signal.SIGTERM)
        code, last = running.end()
    assert code == 128 + signal.SIGTERM
    assert last.message == "stopped by SIGTERM while DatasetNotFound"
    assert not list(tmp_path.glob("vaka-*"))


def test_broken_data_is_a_permanent_exit_that_names_the_file(tmp_path: Path, run_on: RunOn) -> None:
    (tmp_path / "shades").mkdir()
    (tmp_path / "shades/train-images-idx3-ubyte").write_bytes(b"GIF89a..")
    (tmp_path / "shades/train-labels-idx1-ubyte").write_bytes(b"")
    with trainer(tmp_path, run_on(tmp_path)) as running:
        code, last = running.end()
    assert (code, last.reason) == (EXIT_DATA, "DatasetInvalid")
    assert "train-images-idx3-ubyte: is no IDX file" in last.message


@pytest.mark.parametrize("run", ["", "{}", '{"name": 3}'])
def test_without_a_run_it_says_what_is_missing(tmp_path: Path, run: str) -> None:
    process = start(tmp_path, run)
    process.communicate()
    assert process.returncode == EXIT_CONFIG
    last = msgspec.json.decode((tmp_path / "termination").read_bytes(), type=Report)
    assert last.reason == "ConfigInvalid"
    assert last.message.startswith("VAKA_RUN in the environment is no run: ")


def test_it_makes_room_for_other_work_on_its_processors_and_says_so(
    tmp_path: Path,
    run_on: RunOn,
    write_shades: Callable[[Path], None],
    sharing: Callable[[int], AbstractContextManager[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(THREADS_ENV, raising=False)
    write_shades(tmp_path / "shades")
    with sharing(2), trainer(tmp_path, run_on(tmp_path, epochs=100_000)) as running:
        while "training with 1 of 2 threads" not in running.report().message:
            time.sleep(0.05)

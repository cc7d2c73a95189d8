"""The trainer as a child process on this machine, watched through its own /report."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.request import urlopen

import msgspec

from vaka import storage
from vaka.api.contract import RUN_ENV, Report
from vaka.api.run import Run
from vaka.training.environment import LISTEN_ENV, TERMINATION_ENV

POLL_SECONDS = 0.2
GRACE_SECONDS = 60  # as a cluster gives it, for a last checkpoint


class Outcome(NamedTuple):
    """How the trainer ended: its exit code, its last report and its last log lines."""

    code: int
    report: Report | None
    log: list[str]


def train(run: Run, show: Callable[[Report], None]) -> Outcome:
    """Run the trainer to its end and show each of its reports; it ends with us, however that comes."""
    with tempfile.TemporaryDirectory(prefix="vaka-run-") as folder:
        last_word = Path(folder) / "termination-log"
        environment = os.environ | {
            RUN_ENV: msgspec.json.encode(run).decode(),
            LISTEN_ENV: "127.0.0.1:0",
            TERMINATION_ENV: str(last_word),
            "TMPDIR": folder,
        }
        # In a session of its own, for the terminal's Ctrl-C is ours to pass on.
        process = subprocess.Popen(
            [sys.executable, "-m", "vaka.training"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with ended(process):
            log = Log(process)
            watch(process, log, show)
            log.reader.join()
        report = msgspec.json.decode(last_word.read_bytes(), type=Report) if last_word.exists() else None
        if report:
            show(report)
        return Outcome(process.returncode, report, log.lines)


class Log:
    """The child's log: its last lines, and the port that it names in one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self.port: int | None = None
        self._process = process
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    self.port = self.port or json.loads(line).get("port")
                self.lines = [*self.lines[-19:], line.rstrip()]


def watch(process: subprocess.Popen[str], log: Log, show: Callable[[Report], None]) -> None:
    """Show the process' report until it has ended."""
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
        if log.port and process.returncode is None:
            with contextlib.suppress(OSError, HTTPException):  # it may end in the midst of its answer
                show(_report(log.port))


def _report(port: int) -> Report:
    with urlopen(f"http://127.0.0.1:{port}/report") as answer:
        return msgspec.json.decode(answer.read(), type=Report)


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Whatever happens inside, the process has ended after it: by SIGTERM, or by SIGKILL if it must be."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def forget_checkpoints(run: Run) -> None:
    """Remove what nothing will go on from."""
    if run.public_checkpoint:
        storage.remove(run.public_checkpoint)

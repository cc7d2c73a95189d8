"""A server as processes of this machine: started, waited for, weighed, and ended with all that it started."""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bodies import Protocol, images

PATIENCE_S = 600.0
"""For the first answer: some peers start many processes."""
END_S = 30.0
PR_SET_CHILD_SUBREAPER = 36
HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers."""

    pid: int
    port: int
    ready_s: float
    """From the start of the process to the first right answer."""

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"


def adopt_orphans() -> None:
    """Become the parent of what servers leave behind, so that it can be found and ended."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextmanager
def running(
    command: list[str],
    *,
    port: int,
    path: str,
    protocol: Protocol,
    health: str | None,
    env: Mapping[str, str],
    folder: Path,
    log: Path,
) -> Iterator[Running]:
    """Run a server in a folder; SystemExit with the end of its log where it does not answer.

    Args:
        health: must answer 200 as well, if there is one.
    """
    before = set(tree(os.getpid()))
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=dict(env), cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _await_answer(process, lambda: _answers(port, path, protocol, health), log)
            yield Running(pid=process.pid, port=port, ready_s=time.monotonic() - started)
        finally:
            _end(process, before)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as taken:
        return int(taken.getsockname()[1])


def ask(
    connection: http.client.HTTPConnection, path: str, protocol: Protocol, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body of one answer."""
    connection.request("POST", path, body, protocol.headers)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def _answers(port: int, path: str, protocol: Protocol, health: str | None) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        if health:
            connection.request("GET", health)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                return False
        return ask(connection, path, protocol, protocol.body(images()[0]))[0] == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _await_answer(process: "subprocess.Popen[bytes]", answers: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if answers():
            return
        try:
            process.wait(0.005)  # until it ends, which it should not
            break
        except subprocess.TimeoutExpired:
            pass
    raise SystemExit(f"{process.args} does not answer, see {log}:\n{log.read_text(errors='replace')[-2000:]}")


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [one for child in task.read_text().split() for one in tree(int(child))]
        except OSError:  # it has ended
            continue
    return found


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes: RSS counts shared pages for each process, PSS once."""

    rss: int
    pss: int
    processes: int


def memory(pid: int) -> Memory:
    """What the tree of a process has in memory."""
    rss = pss = 0
    pids = tree(pid)
    for one in pids:
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:]
        )
        rss += int(fields["Rss"].split()[0]) * 1024
        pss += int(fields["Pss"].split()[0]) * 1024
    return Memory(rss=rss, pss=pss, processes=len(pids))


def _end(process: "subprocess.Popen[bytes]", before: set[int]) -> None:
    """Ask it to end; whatever was not there before it and is left then is killed."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    while left := [pid for pid in tree(os.getpid()) if pid not in before]:
        for pid in left:
            _kill(pid)


def _kill(pid: int) -> None:
    """And wait for it, once it is left to this process."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return

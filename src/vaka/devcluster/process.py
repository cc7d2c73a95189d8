"""Processes that outlive the command that started them, found again by a pid file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from vaka.devcluster.folders import ClusterFolder

_START = """setsid "$@" & echo $! $(cut -d' ' -f22 /proc/$!/stat) > "$0\""""
_START_TIME = 19  # place of proc(5)'s field 22 after the name, which may hold blanks


def start_detached(folder: ClusterFolder, argv: list[str], *, keep: tuple[int, ...] = ()) -> None:
    """Start the cluster's supervisor in a session of its own, as a child of init; its pid is on file.

    Args:
        keep: file descriptors that it inherits.
    """
    with folder.log("supervisor").open("wb") as log:
        subprocess.run(
            ["sh", "-c", _START, str(folder.pid), *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=keep,
            check=True,
        )


def supervisor_pid(folder: ClusterFolder) -> int | None:
    """The process that ``start_detached`` started, if it runs; none that has its pid by chance."""
    try:
        pid, started = folder.pid.read_text().split()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return int(pid) if state[0] != "Z" and state[_START_TIME] == started else None


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def end(pid: int, *, number: signal.Signals = signal.SIGKILL, within_s: float = 20.0) -> bool:
    """Signal a process and wait for its end; whether it ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: ClusterFolder, say: Callable[[str], None]) -> Iterator[None]:
    """Make the folder and hold it alone; it may be removed meanwhile, which gives up the lock."""
    descriptor = _lock(folder.root, say)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, say: Callable[[str], None]) -> int:
    while True:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another command is at work on {path.name}: waiting for it ...")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)


def remove_folder(folder: ClusterFolder) -> None:
    """Remove a cluster's folder, and the lock on it with it."""
    shutil.rmtree(folder.root)

"""Waiting for a cluster that comes up, and saying in words why one does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.supervisor import ClusterState, read_state

_HOPELESS_RESTARTS = 5


def wait_ready(
    folder: ClusterFolder,
    *,
    alive: Callable[[], bool],
    within_s: float,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Return when every component is ready.

    Args:
        alive: whether the supervisor still runs.
        say: told of each component that became ready.

    Raises:
        ClusterError: the supervisor ended, a component keeps ending, or ``within_s`` seconds have passed.
    """
    deadline = time.monotonic() + within_s
    told: set[str] = set()
    before = read_state(folder.state)
    while not (state := read_state(folder.state)).ready:
        if not alive():
            raise ClusterError(f"the cluster's supervisor ended: {last_line(folder.log('supervisor'))}")
        if time.monotonic() > deadline:
            raise ClusterError(f"not ready after {within_s:.0f} s: {'; '.join(problems(folder, state))}")
        if hopeless := _hopeless(state, before):
            raise ClusterError("; ".join(problems(folder, state, only=hopeless)))
        _tell_news(state, told, say)
        time.sleep(0.05)
    _tell_news(state, told, say)


def problems(folder: ClusterFolder, state: ClusterState, only: list[str] | None = None) -> list[str]:
    """A sentence for each component that is neither ready nor merely waiting for another."""
    return [
        f"{name} is {each.state} ({each.message or 'no answer yet'}, {each.restarts} restarts): "
        f"{last_line(folder.log(name))} (see {folder.log(name)})"
        for name, each in state.components.items()
        if each.state not in ("ready", "done", "waiting") and (only is None or name in only)
    ]


def last_line(log: Path) -> str:
    """The last line of a log, shortened; "" if there is none."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][-300:] if lines else ""


def _hopeless(state: ClusterState, before: ClusterState) -> list[str]:
    """Components that are down and have been restarted again and again since ``before``."""
    restarts = {name: each.restarts for name, each in before.components.items()}
    return [
        name
        for name, each in state.components.items()
        if each.state in ("starting", "stopped")
        and each.restarts - restarts.get(name, 0) >= _HOPELESS_RESTARTS
    ]


def _tell_news(state: ClusterState, told: set[str], say: Callable[[str], None]) -> None:
    for name, each in state.components.items():
        if each.state in ("ready", "done") and name not in told:
            told.add(name)
            say(f"{name} ready ({each.seconds:.1f} s)")

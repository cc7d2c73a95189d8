"""The control groups that a cluster's pods run in, of version 1 or 2, whichever the machine has."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


def cgroup_name(cluster: str) -> str:
    return f"/vaka-{cluster}"


def hierarchies(mounts: str) -> list[Path]:
    """Mount points of all cgroup hierarchies, from the text of ``/proc/mounts``."""
    rows = [line.split() for line in mounts.splitlines()]
    return [Path(row[1]) for row in rows if row[2] in ("cgroup", "cgroup2")]


def create_cgroup(name: str, mounts: list[Path]) -> None:
    """Make the group in every hierarchy."""
    for mount in mounts:
        available = mount / "cgroup.controllers"
        if available.exists():
            usable = [each for each in _V2_CONTROLLERS if each in available.read_text().split()]
            (mount / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in usable))
        (mount / name.lstrip("/")).mkdir(exist_ok=True)


def remove_cgroup(name: str, mounts: list[Path], *, within_s: float = 10.0) -> list[Path]:
    """Remove the group with all below it, and return what could not be removed in time.

    The kernel lets a group go a moment after its last process ended.
    """
    deadline = time.monotonic() + within_s
    roots = [mount / name.lstrip("/") for mount in mounts]
    while left := [root for root in roots if root.exists()]:
        for root in left:
            _remove_tree(root)
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def _remove_tree(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)

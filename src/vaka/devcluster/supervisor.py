"""The process that keeps a cluster's programs running: PID 1 of an embedded cluster's namespaces.

It starts each component when those it needs are ready, restarts what ends, reaps what is orphaned, and
writes what it knows to the cluster's state file. It holds nothing that cannot be lost: killing it ends
the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vaka.devcluster.components import Component
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.probe import Prober

_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 15.0
_STABLE_S = 60.0  # a component that ran this long starts again with the first backoff


@dataclass
class ComponentState:
    """``state`` is one of waiting, starting, ready, unhealthy, stopped (until its restart) and done."""

    state: str = "waiting"
    pid: int = 0
    restarts: int = 0
    seconds: float = 0.0  # from the supervisor's start to this component's latest readiness
    message: str = ""


@dataclass
class ClusterState:
    components: dict[str, ComponentState] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return bool(self.components) and all(c.state in ("ready", "done") for c in self.components.values())


def read_state(path: Path) -> ClusterState:
    """The latest state; that of a cluster without components if there is none."""
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError:
        return ClusterState()
    return ClusterState({name: ComponentState(**each) for name, each in raw["components"].items()})


class Supervisor:
    """Runs components until it is killed.

    Args:
        prefix: put before each command line, such as a program that ends the component with its parent.
    """

    def __init__(self, folder: ClusterFolder, components: Iterable[Component], prefix: tuple[str, ...] = ()):
        self._folder = folder
        self._components = tuple(components)
        self._prefix = prefix
        self._started = time.monotonic()
        self._ready = {component.name: asyncio.Event() for component in self._components}
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._state = ClusterState({name: ComponentState() for name in self._ready})
        self._prober = Prober(folder.pki)

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        async with asyncio.TaskGroup() as group:
            for component in self._components:
                group.create_task(self._keep(component))

    async def stop(self) -> None:
        """Kill every component and wait until none is left."""
        for pid in self._exits:
            os.killpg(pid, signal.SIGKILL)
        await asyncio.gather(*self._exits.values())

    async def _keep(self, component: Component) -> None:
        for need in component.needs:
            await self._ready[need].wait()
        backoff = _FIRST_BACKOFF_S
        while True:
            begun = time.monotonic()
            status = await self._run_once(component)
            if component.once and status == 0:
                return self._became_ready(component, "done")
            if time.monotonic() - begun > _STABLE_S:
                backoff = _FIRST_BACKOFF_S
            self._update(component, state="stopped", pid=0, message=_describe_exit(status))
            await asyncio.sleep(backoff)
            self._state.components[component.name].restarts += 1
            backoff = min(2 * backoff, _LONGEST_BACKOFF_S)

    async def _run_once(self, component: Component) -> int:
        """Start the component, watch it, and return how it ended (see ``waitstatus_to_exitcode``)."""
        pid, exited = self._spawn(component)
        self._update(component, state="starting", pid=pid)
        watch = None if component.once else asyncio.create_task(self._watch(component))
        try:
            return await asyncio.shield(exited)  # that of a cancelled component is still to be reaped
        finally:
            if watch:
                watch.cancel()

    def _spawn(self, component: Component) -> tuple[int, asyncio.Future[int]]:
        with self._folder.log(component.name).open("ab") as log:
            process = subprocess.Popen(
                [*self._prefix, *component.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder.data,
                start_new_session=True,
            )
        process.returncode = 0  # the reaper waits for it, so subprocess must never try to
        exited = self._exits[process.pid] = asyncio.get_running_loop().create_future()
        return process.pid, exited

    def _reap(self) -> None:
        """Collect every child that ended; as PID 1 that includes processes that others left behind."""
        with contextlib.suppress(ChildProcessError):
            while (result := os.waitpid(-1, os.WNOHANG))[0]:
                exited = self._exits.pop(result[0], None)
                if exited:
                    exited.set_result(os.waitstatus_to_exitcode(result[1]))

    async def _watch(self, component: Component) -> None:
        while not await self._healthy(component):
            await asyncio.sleep(0.1)
        self._became_ready(component, "ready")
        while True:
            await asyncio.sleep(5)
            healthy = await self._healthy(component)
            state = "ready" if healthy else "unhealthy"
            if state != self._state.components[component.name].state:
                self._update(component, state=state, message="" if healthy else "health check fails")

    async def _healthy(self, component: Component) -> bool:
        return not component.health or await asyncio.to_thread(self._prober.healthy, component.health)

    def _became_ready(self, component: Component, state: str) -> None:
        self._ready[component.name].set()
        self._update(component, state=state, seconds=round(time.monotonic() - self._started, 2))

    def _update(self, component: Component, **changes: object) -> None:
        entry = self._state.components[component.name]
        for name, value in ({"message": ""} | changes).items():
            setattr(entry, name, value)
        draft = self._folder.state.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self._state), indent=1))
        draft.rename(self._folder.state)


def _describe_exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

"""Clusters that run as processes of this machine: embedded (one real node) and bare (no node)."""

from __future__ import annotations

import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from vaka.devcluster.binaries import binary_folder, ensure_binaries
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import cluster_folder
from vaka.devcluster.probe import Prober
from vaka.devcluster.process import locked, remove_folder, supervisor_pid
from vaka.devcluster.providers import Status
from vaka.devcluster.readiness import problems, wait_ready
from vaka.devcluster.spec import ClusterSpec, read_spec
from vaka.devcluster.supervisor import read_state

_HEALS_WITHIN_S = 30.0


class LocalCluster(ABC):
    """What embedded and bare clusters have in common.

    Args:
        cache: folder of the binaries and of all clusters.
        say: told what happens while it happens.
    """

    kind: str
    _ready_within_s: float

    def __init__(self, name: str, *, cache: Path, say: Callable[[str], None]):
        self.name = name
        self.folder = cluster_folder(name, cache=cache)
        self._cache = cache
        self._say = say

    @property
    def kubeconfig(self) -> Path:
        return self.folder.kubeconfig

    def up(self) -> None:
        """Return with the cluster ready: at once if it is, else started, repaired or replaced.

        Raises:
            ClusterError: something that it needs is missing, or it does not come up; the message says what.
        """
        self._check()
        ensure_binaries(self._cache, say=self._say)
        with locked(self.folder, self._say):
            if self._is_ready():
                self._say(f"cluster {self.name} is up already")
                return
            had_data = self.folder.pki.exists()
            try:
                self._start()
            except ClusterError as error:
                if not had_data:
                    raise
                self._say(f"cluster {self.name} cannot be repaired ({error}): replacing it")
                self._clear()
                self._start()

    def down(self) -> None:
        """End every process of the cluster and remove all it had but the cached binaries."""
        if not self.folder.root.exists():
            return
        with locked(self.folder, self._say):
            self._stop()
            remove_folder(self.folder)

    def status(self) -> Status:
        spec = self._old_spec()
        if spec is None:
            return Status(False, (f"cluster {self.name} does not exist: vaka cluster up --name {self.name}",))
        if not self._alive():
            return Status(
                False, (f"cluster {self.name} ({self.kind}) has stopped: vaka cluster up --name {self.name}",)
            )
        state = read_state(self.folder.state)
        broken = problems(self.folder, state)
        waiting = [f"{name} waits for others" for name, c in state.components.items() if c.state == "waiting"]
        running = sorted(name for name, each in state.components.items() if each.state == "ready")
        ready = state.ready and self._answers(spec)
        return Status(
            ready,
            (
                f"cluster {self.name} ({self.kind}) is {'ready' if ready else 'not ready'}",
                f"API server: {spec.url}",
                f"kubeconfig: {self.kubeconfig}",
                f"logs: {self.folder.logs}",
                f"running: {', '.join(running)}",
                *broken,
                *waiting,
            ),
        )

    @abstractmethod
    def load(self, image: str) -> str: ...

    @abstractmethod
    def enter(self) -> tuple[str, ...]: ...

    @abstractmethod
    def _check(self) -> None: ...

    @abstractmethod
    def _launch(self, spec: ClusterSpec | None) -> None:
        """Start the supervisor, with the ports of the ``spec`` there was if they are free."""

    @abstractmethod
    def _stop(self) -> None: ...

    def _start(self) -> None:
        self._stop()
        self.folder.state.unlink(missing_ok=True)
        self._say(f"starting cluster {self.name} ({self.kind}) ...")
        try:
            self._launch(self._old_spec())
            wait_ready(self.folder, alive=self._alive, within_s=self._ready_within_s, say=self._say)
        except OSError as error:
            raise ClusterError(f"cluster {self.name} cannot be started: {error}") from error
        except ClusterError:
            self._stop()
            raise
        self._say(f"cluster {self.name} is ready; kubeconfig: {self.kubeconfig}")

    def _clear(self) -> None:
        self._stop()
        for path in self.folder.root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _is_ready(self) -> bool:
        """Whether it runs with the binaries of this version; one on its way is given time."""
        spec = self._old_spec()
        if spec is None or not self._alive() or not self._is_current():
            return False
        try:
            wait_ready(self.folder, alive=self._alive, within_s=_HEALS_WITHIN_S)
        except ClusterError as error:
            self._say(f"cluster {self.name} is broken: {error}")
            return False
        return self._answers(spec)

    def _is_current(self) -> bool:
        return self.folder.bin.is_symlink() and self.folder.bin.readlink() == binary_folder(self._cache)

    def _old_spec(self) -> ClusterSpec | None:
        try:
            return read_spec(self.folder.spec)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _alive(self) -> bool:
        return supervisor_pid(self.folder) is not None

    def _answers(self, spec: ClusterSpec) -> bool:
        return Prober(self.folder.pki).healthy(f"{spec.url}/readyz")


def boot_command(root: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "vaka.devcluster.boot", str(root), *options]

"""A control plane alone, on loopback, without root: ``with bare_cluster() as kubeconfig: ...``."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from vaka.devcluster.binaries import binary_folder, ensure_binaries
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import ClusterFolder, cache_root
from vaka.devcluster.local import LocalCluster, boot_command
from vaka.devcluster.prepare import prepare_bare
from vaka.devcluster.process import end, start_detached, supervisor_pid
from vaka.devcluster.readiness import wait_ready
from vaka.devcluster.spec import ClusterSpec, free_ports

_READY_WITHIN_S = 90.0


@contextlib.contextmanager
def bare_cluster(*, nodes: int = 0, say: Callable[[str], None] | None = None) -> Iterator[Path]:
    """A control plane of one's own for the length of a ``with`` block; yields its kubeconfig.

    It has etcd, API server, controller manager and scheduler: controllers work and RBAC, PodSecurity and
    CRD validation are real, but no pod runs. With ``nodes`` kwok pretends that many nodes, on which pods
    become Running (and Succeeded, where a Job owns them). The cluster ends with this process, however
    that ends.

    Args:
        nodes: fake nodes.
        say: told how far a first build of the binaries is; by default on standard error.

    Raises:
        ClusterError: it cannot be built or does not come up; the message says why.
    """
    cache = cache_root()
    ensure_binaries(cache, say=say or _say)
    with tempfile.TemporaryDirectory(prefix="vaka-bare-", ignore_cleanup_errors=True) as root:
        folder = ClusterFolder(Path(root))
        prepare_bare(folder, bare_spec("bare", nodes=nodes), binaries=binary_folder(cache))
        with _attached(folder) as process:
            wait_ready(folder, alive=lambda: process.poll() is None, within_s=_READY_WITHIN_S)
            yield folder.kubeconfig


@contextlib.contextmanager
def _attached(folder: ClusterFolder) -> Iterator[subprocess.Popen[bytes]]:
    with folder.log("supervisor").open("wb") as log:
        process = subprocess.Popen(
            boot_command(folder.root, "--attached"),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.communicate()  # the end of its input ends it, and all that it runs


class BareCluster(LocalCluster):
    """Args: ``nodes``: how many kwok pretends to run; None leaves them as they are."""

    kind = "bare"
    _ready_within_s = 120.0

    def __init__(self, name: str, *, cache: Path, say: Callable[[str], None], nodes: int | None = None):
        super().__init__(name, cache=cache, say=say)
        self._nodes = nodes

    def load(self, image: str) -> str:
        raise ClusterError(f"cluster {self.name} is bare: it runs no pods, so it has no use for {image!r}")

    def enter(self) -> tuple[str, ...]:
        return ()  # it is on this machine's own loopback

    def _check(self) -> None:
        """Nothing is needed: no root, no container runtime."""

    def _is_ready(self) -> bool:
        spec = self._old_spec()
        return spec is not None and self._nodes in (None, spec.fake_nodes) and super()._is_ready()

    def _launch(self, spec: ClusterSpec | None) -> None:
        spec = spec or bare_spec(self.name, nodes=0)
        if self._nodes is not None:
            spec = dataclasses.replace(spec, fake_nodes=self._nodes)
        prepare_bare(self.folder, spec, binaries=binary_folder(self._cache))
        start_detached(self.folder, boot_command(self.folder.root))

    def _stop(self) -> None:
        pid = supervisor_pid(self.folder)
        if pid and not end(pid, number=signal.SIGTERM):
            end(pid)


def bare_spec(name: str, *, nodes: int) -> ClusterSpec:
    port, controller_manager_port, scheduler_port, kwok_port = free_ports(4)
    return ClusterSpec(
        name=name,
        bare=True,
        port=port,
        controller_manager_port=controller_manager_port,
        scheduler_port=scheduler_port,
        kwok_port=kwok_port,
        fake_nodes=nodes,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

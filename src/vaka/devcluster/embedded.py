"""A real one-node cluster as processes of this machine, in namespaces of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from pathlib import Path

from vaka.devcluster.binaries import binary_folder
from vaka.devcluster.cgroups import cgroup_name, create_cgroup, hierarchies, remove_cgroup
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.images import IMPORT, import_image, import_layout
from vaka.devcluster.layout import layout_of
from vaka.devcluster.local import LocalCluster, boot_command
from vaka.devcluster.prepare import prepare_embedded
from vaka.devcluster.process import children, end, start_detached, supervisor_pid
from vaka.devcluster.spec import LOOPBACK, ClusterSpec

_PACKAGES = {  # program -> Debian package
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}


class EmbeddedCluster(LocalCluster):
    kind = "embedded"
    _ready_within_s = 240.0

    def load(self, image: str) -> str:
        """Import one of Vaka's own images by its short name, an archive, or an image that buildah has."""
        inside = self._inside("--net", "--mount", "--pid")
        layout = layout_of(self._cache)
        if image in layout.images():
            return import_layout(layout, image, inside=inside)
        return import_image(image, into=(*inside, *IMPORT))

    def enter(self) -> tuple[str, ...]:
        return self._inside("--net")

    def _check(self) -> None:
        if os.geteuid() != 0:
            raise ClusterError(
                "an embedded cluster needs root for its namespaces and mounts: run this as root, "
                "or choose --provider kind where Docker is"
            )
        missing = {package for program, package in _PACKAGES.items() if not shutil.which(program)}
        if missing:
            names = " ".join(sorted(missing))
            raise ClusterError(f"an embedded cluster needs what is missing here: apt-get install {names}")
        if not self._hierarchies():
            raise ClusterError("no control groups are mounted, which containers need: mount /sys/fs/cgroup")

    def _launch(self, spec: ClusterSpec | None) -> None:
        with _listen(spec.port if spec else 0) as listener:
            spec = ClusterSpec(name=self.name, bare=False, port=listener.getsockname()[1])
            prepare_embedded(self.folder, spec, binaries=binary_folder(self._cache))
            create_cgroup(cgroup_name(self.name), self._hierarchies())
            isolated = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            command = boot_command(self.folder.root, "--listener", str(listener.fileno()))
            start_detached(
                self.folder, [*isolated, "--propagation", "private", *command], keep=(listener.fileno(),)
            )

    def _stop(self) -> None:
        """Kill the namespace's first process: the kernel ends all others in it and drops its mounts."""
        pid = supervisor_pid(self.folder)
        for each in (*children(pid), pid) if pid else ():
            if not end(each):
                raise ClusterError(f"process {each} of cluster {self.name} does not end")
        left = remove_cgroup(cgroup_name(self.name), self._hierarchies())
        if left:
            raise ClusterError(f"control groups are left behind, with processes in them: {left[0]}")

    def _inside(self, *namespaces: str) -> tuple[str, ...]:
        pid = supervisor_pid(self.folder)
        init = children(pid) if pid else []
        if not init:
            raise ClusterError(f"cluster {self.name} does not run: vaka cluster up --name {self.name}")
        return ("nsenter", "--target", str(init[0]), *namespaces, "--")

    def _hierarchies(self) -> list[Path]:
        return hierarchies(Path("/proc/mounts").read_text())


def _listen(port: int) -> socket.socket:
    """A listening socket on the port, or on another if that one is taken meanwhile."""
    with contextlib.suppress(OSError):
        return socket.create_server((LOOPBACK, port))
    return socket.create_server((LOOPBACK, 0))

"""A cluster in Docker, by kind (https://kind.sigs.k8s.io), for machines where both are."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import cluster_folder
from vaka.devcluster.images import import_image
from vaka.devcluster.process import remove_folder
from vaka.devcluster.providers import Status


def kind_works() -> bool:
    """Whether kind is installed and a Docker daemon answers."""
    if not (shutil.which("kind") and shutil.which("docker")):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


class KindCluster:
    """Its default StorageClass and DNS come with kind; metrics-server does not."""

    def __init__(self, name: str, *, cache: Path, say: Callable[[str], None]):
        self.name = name
        self.folder = cluster_folder(name, cache=cache)
        self._say = say

    @property
    def kubeconfig(self) -> Path:
        return self.folder.kubeconfig

    def up(self) -> None:
        if not kind_works():
            raise ClusterError(
                "kind or a running Docker is missing: install both, or use --provider embedded"
            )
        if self.status().ready:
            self._say(f"cluster {self.name} is up already")
            return
        self.down()
        self.folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._say(f"starting cluster {self.name} (kind) ...")
        self._kind("create", "cluster", "--kubeconfig", str(self.kubeconfig), "--wait", "120s")

    def down(self) -> None:
        self._kind("delete", "cluster", "--kubeconfig", str(self.kubeconfig))
        if self.folder.root.exists():
            remove_folder(self.folder)

    def status(self) -> Status:
        node = f"{self.name}-control-plane"
        kubectl = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "wait", "--for=condition=Ready"]
        argv = ["docker", "exec", node, *kubectl, f"node/{node}", "--timeout=5s"]
        answer = _run(argv)
        if answer.returncode or not self.kubeconfig.exists():
            return Status(False, (f"cluster {self.name} (kind) is not ready: {answer.stderr.strip()}",))
        return Status(True, (f"cluster {self.name} (kind) is ready", f"kubeconfig: {self.kubeconfig}"))

    def load(self, image: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "image.tar"
            import_image(image, into=("cp", "/dev/stdin", str(archive)))
            self._kind("load", "image-archive", str(archive))
        return f"loaded {image}"

    def enter(self) -> tuple[str, ...]:
        return ("docker", "exec", "--interactive", f"{self.name}-control-plane")

    def _kind(self, *arguments: str) -> None:
        argv = ["kind", *arguments, "--name", self.name]
        answer = _run(argv)
        if answer.returncode:
            raise ClusterError(f"{' '.join(argv)} failed: {answer.stderr.strip()}")


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ClusterError(f"{argv[0]} is missing: install it, or use --provider embedded") from error

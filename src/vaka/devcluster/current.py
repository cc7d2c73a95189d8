"""The cluster that the kubeconfig at hand points at."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.providers import Status


class CurrentCluster:
    """Used as it is: never started, changed or ended."""

    @property
    def kubeconfig(self) -> Path:
        """``$KUBECONFIG``, else ``~/.kube/config``.

        Raises:
            ClusterError: there is no such file, or ``$KUBECONFIG`` names several.
        """
        path = Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
        if not path.is_file():
            raise ClusterError(
                f"there is no kubeconfig {path}: name one file in KUBECONFIG, or choose another --provider"
            )
        return path

    def up(self) -> None:
        status = self.status()
        if not status.ready:
            raise ClusterError("; ".join(status.lines))

    def down(self) -> None:
        raise ClusterError("the current cluster is not ours to take down: nothing was done")

    def status(self) -> Status:
        argv = ["kubectl", "--kubeconfig", str(self.kubeconfig), "get", "--raw", "/readyz"]
        try:
            answer = subprocess.run(
                [*argv, "--request-timeout", "10s"], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise ClusterError("kubectl is missing, which asks the current cluster: install it") from error
        if answer.returncode:
            return Status(False, (f"the cluster of {self.kubeconfig} is not ready: {answer.stderr.strip()}",))
        return Status(True, (f"the cluster of {self.kubeconfig} is ready",))

    def load(self, image: str) -> str:
        raise ClusterError(
            f"{image!r} cannot be loaded into the nodes of the current cluster: "
            "push it to a registry that they pull from"
        )

    def enter(self) -> tuple[str, ...]:
        raise ClusterError("nothing of this machine is on the current cluster's network")

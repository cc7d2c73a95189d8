"""A cluster in the hand of a script or a test: kubectl, helm and image loading without a word of set-up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaka.devcluster.binaries import programs
from vaka.devcluster.choose import choose
from vaka.devcluster.folders import cache_root
from vaka.devcluster.layout import layout_of
from vaka.devcluster.providers import Provider


@dataclass(frozen=True)
class Cluster:
    """Every command that fails raises CalledProcessError after its error output was shown."""

    name: str
    provider: Provider

    @classmethod
    def up(cls, name: str, *, kind: str | None = None) -> Cluster:
        """The cluster of that name, started where it does not run; kind defaults to $CLUSTER, else auto.

        Raises:
            ClusterError: it cannot be started; the message says what is missing.
        """
        chosen = kind or os.environ.get("CLUSTER", "auto")
        provider = choose(chosen, name=name, cache=cache_root(), say=_say)
        provider.up()
        return cls(name, provider)

    def environment(self) -> dict[str, str]:
        """This process' environment, with which kubectl and helm mean this cluster."""
        return os.environ | {"KUBECONFIG": str(self.provider.kubeconfig), "PATH": self._path()}

    def environment_hint(self) -> str:
        """Shell lines that set a person's terminal up for this cluster."""
        return f"      export KUBECONFIG={self.provider.kubeconfig}\n      export PATH={self._tools()}:$PATH"

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self._run(["kubectl", *arguments], text)

    def helm(self, *arguments: str) -> str:
        return self._run(["helm", *arguments], None)

    def apply(self, manifest: str) -> None:
        self.kubectl("apply", "-f", "-", text=manifest)

    def load(self, image: str) -> None:
        """Give the nodes an image: one of Vaka's own, an archive's path, or one that buildah has."""
        _say(f"{image} ...")
        self.provider.load(image)

    def digest(self, image: str) -> str:
        """What one of Vaka's own images is now, whatever its tag; "" where another engine builds them."""
        found = layout_of(cache_root()).images().get(image)
        return str(found.descriptor["digest"]) if found else ""

    def tool(self, name: str) -> str:
        """Path of one of the programs that are built for clusters, such as versitygw."""
        return str(programs(cache_root())[name])

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a program of this machine on the node's network."""
        return [*self.provider.enter(), *command]

    def _tools(self) -> Path:
        return self.provider.kubeconfig.parent / "bin"

    def _path(self) -> str:
        return f"{self._tools()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def _run(self, command: Sequence[str], text: str | None) -> str:
        result = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            env=self.environment(),
            check=False,
        )
        if result.returncode:
            print(f"{' '.join(command)}: {result.stderr.strip()}", file=sys.stderr)
            result.check_returncode()
        return result.stdout


def _say(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)

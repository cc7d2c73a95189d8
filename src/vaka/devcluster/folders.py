"""Where a cluster keeps its files: everything lies below one cache folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vaka.devcluster.errors import ClusterError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """``$VAKA_CACHE``, else ``$XDG_CACHE_HOME/vaka``, else ``~/.cache/vaka``; absolute."""
    if environ.get("VAKA_CACHE"):
        return Path(environ["VAKA_CACHE"]).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "vaka"


@dataclass(frozen=True)
class ClusterFolder:
    """The folder of one cluster; nothing of the cluster lies outside it but its cgroups and namespaces."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "cluster.json"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def pid(self) -> Path:
        return self.root / "pid"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"


def cluster_folder(name: str, *, cache: Path) -> ClusterFolder:
    """The folder of the cluster called ``name``.

    Raises:
        ClusterError: the name is not a DNS label of at most 32 characters.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"cluster name {name!r} is not allowed: use at most 32 of a-z, 0-9 and '-', "
            "beginning and ending with a letter or digit"
        )
    return ClusterFolder(cache / "clusters" / name)

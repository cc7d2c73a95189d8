"""Which provider a cluster has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vaka.devcluster.bare import BareCluster
from vaka.devcluster.current import CurrentCluster
from vaka.devcluster.embedded import EmbeddedCluster
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import cluster_folder
from vaka.devcluster.kind import KindCluster, kind_works
from vaka.devcluster.providers import Provider
from vaka.devcluster.spec import read_spec

DEFAULT_NAME = "vaka"
KINDS = ("auto", "current", "kind", "embedded")


def choose(
    kind: str,
    *,
    name: str,
    cache: Path,
    say: Callable[[str], None],
    bare: bool = False,
    nodes: int | None = None,
) -> Provider:
    """The provider of that kind; ``auto`` is whoever has a cluster of that name, else kind, else embedded.

    ``auto`` never takes the current kubeconfig: whoever tries something out must not find it in production.

    Raises:
        ClusterError: there is no such kind, or the cluster of that name is of another.
    """
    if kind not in KINDS:
        raise ClusterError(f"CLUSTER={kind!r} is not known: use {', '.join(KINDS)}")
    if kind == "current":
        return CurrentCluster()
    exists = _existing(name, cache)
    wanted = "bare" if bare else kind
    if wanted == "auto":
        wanted = exists or ("kind" if kind_works() else "embedded")
    if exists and wanted != exists:
        raise ClusterError(
            f"cluster {name} exists and is {exists}, not {wanted}: "
            f"take it down first (vaka cluster down --name {name}), or choose another --name"
        )
    if wanted == "bare":
        return BareCluster(name, cache=cache, say=say, nodes=nodes)
    provider = EmbeddedCluster if wanted == "embedded" else KindCluster
    return provider(name, cache=cache, say=say)


def _existing(name: str, cache: Path) -> str:
    """The kind of the cluster of that name, "" if there is none."""
    folder = cluster_folder(name, cache=cache)
    try:
        return "bare" if read_spec(folder.spec).bare else "embedded"
    except (FileNotFoundError, ValueError, TypeError):
        return "kind" if folder.kubeconfig.exists() and not folder.pki.exists() else ""

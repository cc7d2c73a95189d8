from pathlib import Path

import pytest

from vaka.devcluster.bare import BareCluster
from vaka.devcluster.choose import choose
from vaka.devcluster.current import CurrentCluster
from vaka.devcluster.embedded import EmbeddedCluster
from vaka.devcluster.errors import ClusterError
from vaka.devcluster.folders import cluster_folder
from vaka.devcluster.providers import Provider
from vaka.devcluster.spec import ClusterSpec, write_spec


def chosen(cache: Path, kind: str = "auto", *, bare: bool = False) -> Provider:
    return choose(kind, name="test", cache=cache, say=print, bare=bare)


def existing(cache: Path, *, bare: bool) -> Path:
    folder = cluster_folder("test", cache=cache)
    folder.root.mkdir(parents=True)
    write_spec(folder.spec, ClusterSpec(name="test", bare=bare, port=1))
    return cache


def test_auto_takes_whoever_has_the_cluster(tmp_path: Path) -> None:
    assert isinstance(chosen(existing(tmp_path / "a", bare=True)), BareCluster)
    assert isinstance(chosen(existing(tmp_path / "b", bare=False)), EmbeddedCluster)


def test_auto_is_embedded_where_docker_and_kind_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(chosen(tmp_path), EmbeddedCluster)


def test_current_is_only_taken_by_name(tmp_path: Path) -> None:
    assert isinstance(chosen(tmp_path, "current"), CurrentCluster)


def test_a_cluster_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    existing(tmp_path, bare=True)
    with pytest.raises(
        ClusterError, match="cluster test exists and is bare, not embedded: take it down first"
    ):
        chosen(tmp_path, "embedded")


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ClusterError, match="CLUSTER='minikube' is not known: use auto, current, kind, embedded"
    ):
        chosen(tmp_path, "minikube")


def test_the_current_cluster_without_kubeconfig_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match=r"there is no kubeconfig .*none: name one file in KUBECONFIG"):
        CurrentCluster().up()

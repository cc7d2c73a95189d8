"""The kind provider, with stand-ins for the two programs that it drives."""

import os
from pathlib import Path

import pytest

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.kind import KindCluster

KIND = """#!/bin/sh
echo "kind $*" >> "$CALLS"
case "$1" in
  create) touch "$CALLS.runs" "$4" ;;
  delete) rm -f "$CALLS.runs" ;;
  load) cp "$3" "$CALLS.image" ;;
esac
"""
DOCKER = """#!/bin/sh
[ "$1" = info ] || [ -e "$CALLS.runs" ] || { echo "no such container: $2" >&2; exit 1; }
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that lists the calls of kind."""
    for name, script in (("kind", KIND), ("docker", DOCKER)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


@pytest.fixture
def cluster(tmp_path: Path) -> KindCluster:
    return KindCluster("test", cache=tmp_path / "cache", say=print)


def test_it_is_made_once_with_a_kubeconfig_of_its_own(cluster: KindCluster, calls: Path) -> None:
    assert cluster.status().lines == (
        "cluster test (kind) is not ready: no such container: test-control-plane",
    )
    cluster.up()
    cluster.up()
    made = [line for line in calls.read_text().splitlines() if line.startswith("kind create")]
    assert made == [f"kind create cluster --kubeconfig {cluster.kubeconfig} --wait 120s --name test"]
    assert cluster.status().ready


def test_an_archive_is_loaded_as_it_is(cluster: KindCluster, calls: Path, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("layers")
    cluster.load(str(tmp_path / "image.tar"))
    assert Path(f"{calls}.image").read_text() == "layers"


def test_down_leaves_nothing(cluster: KindCluster, calls: Path) -> None:
    cluster.up()
    cluster.down()
    assert not Path(f"{calls}.runs").exists()
    assert not cluster.folder.root.exists()


def test_without_docker_it_is_told(cluster: KindCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="kind or a running Docker is missing: install both"):
        cluster.up()
    with pytest.raises(ClusterError, match="kind is missing: install it"):
        cluster.down()

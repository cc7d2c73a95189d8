"""The build, with a stand-in for Go that makes its binaries at once."""

import os
import shutil
from pathlib import Path

import pytest

from vaka.devcluster.binaries import binary_folder, ensure_binaries, programs
from vaka.devcluster.errors import ClusterError

GO = """#!/bin/sh
echo "$1" >> "$CALLS"
case "$1" in
  version) echo "go version go${GO_VERSION:-1.26.8} linux/amd64" ;;
  list) echo "go: downloading everything"; touch "$GOMODCACHE/fetched" ;;
  build)
    [ "$BROKEN" = yes ] && echo "cannot find module" >&2 && exit 1
    mkdir "$GOBIN"
    touch "$GOBIN/kube" "$GOBIN/pause"
esac
"""


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "go").write_text(GO)
    (tmp_path / "go").chmod(0o755)
    (tmp_path / "modules").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return {**os.environ, "GOMODCACHE": str(tmp_path / "modules")}


def test_everything_is_built_once_and_the_build_leaves_nothing_else(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    cache, told = tmp_path / "cache", list[str]()
    ensure_binaries(cache, say=told.append, environ=environ)
    assert list((cache / "bin").iterdir()) == [binary_folder(cache)]
    assert programs(cache)["kubelet"].resolve() == binary_folder(cache) / "kube"
    assert not (cache / "build").exists()
    assert told[0].startswith("building Kubernetes 1.")
    (tmp_path / "go").unlink()
    ensure_binaries(cache, say=told.append, environ=environ)


def test_a_broken_build_says_why_and_leaves_no_half(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ClusterError, match=r"failed: cannot find module \(all of it: .*compile\.log\)"):
        ensure_binaries(tmp_path, say=print, environ={**environ, "BROKEN": "yes"})
    assert not binary_folder(tmp_path).exists()
    ensure_binaries(tmp_path, say=print, environ=environ)
    assert binary_folder(tmp_path).exists()


def test_caches_that_the_user_named_are_used_and_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    ensure_binaries(tmp_path, say=print, environ=environ)
    assert (tmp_path / "modules" / "fetched").exists()


@pytest.mark.usefixtures("environ")
def test_an_old_go_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_VERSION", "1.19.8")
    with pytest.raises(
        ClusterError, match=r"Go 1\.19 is too old to build Kubernetes: install 1\.21 or newer"
    ):
        ensure_binaries(tmp_path, say=print)


def test_a_missing_go_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="Go is missing, which builds Kubernetes here: install Go"):
        ensure_binaries(tmp_path, say=print)


@pytest.mark.usefixtures("environ")
def test_a_full_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 97, 3 * 2**30))
    with pytest.raises(
        ClusterError, match=r"3\.0 GiB are free in .*, and building Kubernetes needs 12\.0: make room"
    ):
        ensure_binaries(tmp_path, say=print)


def test_what_an_interrupted_build_took_counts(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build" / "cache").mkdir(parents=True)
    with (tmp_path / "build" / "cache" / "half").open("wb") as file:
        file.truncate(10 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 97, 3 * 2**30))
    ensure_binaries(tmp_path, say=print, environ=environ)

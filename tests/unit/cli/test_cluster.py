from pathlib import Path

import pytest

from vaka.cli.__main__ import main
from vaka.devcluster.folders import cluster_folder
from vaka.devcluster.spec import ClusterSpec, write_spec


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAKA_CACHE", str(tmp_path))
    monkeypatch.setenv("CLUSTER", "embedded")
    return tmp_path


@pytest.fixture
def bare(cache: Path) -> str:
    folder = cluster_folder("small", cache=cache)
    folder.root.mkdir(parents=True)
    write_spec(folder.spec, ClusterSpec(name="small", bare=True, port=1))
    return "small"


def test_the_status_of_no_cluster_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "status", "--name", "none"]) == 1
    assert capsys.readouterr().out == "cluster none does not exist: vaka cluster up --name none\n"


def test_the_status_of_a_dead_cluster_says_so(bare: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "status", "--name", bare]) == 1
    assert capsys.readouterr().out == "cluster small (bare) has stopped: vaka cluster up --name small\n"


def test_down_removes_a_dead_cluster_and_does_nothing_twice(bare: str, cache: Path) -> None:
    for _ in range(2):
        assert main(["cluster", "down", "--name", bare]) == 0
        assert list((cache / "clusters").iterdir()) == []


def test_a_bare_cluster_refuses_images(bare: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "load", "--name", bare, "x.tar"]) == 2
    assert "cluster small is bare: it runs no pods" in capsys.readouterr().err


def test_the_kubeconfig_is_the_clusters_own(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "kubeconfig", "--name", "any"]) == 0
    assert capsys.readouterr().out.strip() == str(cache / "clusters" / "any" / "kubeconfig")


def test_a_name_that_is_no_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "status", "--name", "../x"]) == 2
    assert "cluster name '../x' is not allowed" in capsys.readouterr().err

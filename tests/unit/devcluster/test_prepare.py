"""The folder of a cluster holds all that the command lines of its components name."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from vaka.devcluster.binaries import binary_folder, programs
from vaka.devcluster.components import Component, bare_components
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.node import embedded_components
from vaka.devcluster.prepare import prepare_bare, prepare_embedded
from vaka.devcluster.spec import ClusterSpec, free_ports, read_spec

Components = Callable[[ClusterFolder, ClusterSpec], tuple[Component, ...]]


@pytest.fixture(params=["bare", "embedded"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ClusterFolder, tuple[Component, ...]]:
    spec = ClusterSpec(name="test", bare=request.param == "bare", port=12345, fake_nodes=2)
    folder = ClusterFolder(tmp_path / "test")
    binaries = binary_folder(tmp_path)
    binaries.mkdir(parents=True)
    for program in programs(tmp_path).values():
        program.touch()
    prepare, components = (
        (prepare_bare, bare_components) if spec.bare else (prepare_embedded, embedded_components)
    )
    prepare(folder, spec, binaries=binaries)
    return folder, components(folder, spec)


def test_every_file_that_a_component_is_given_exists(
    cluster: tuple[ClusterFolder, tuple[Component, ...]],
) -> None:
    folder, components = cluster
    written_later = {folder.data / "plugins"}
    given = {
        Path(word.rpartition("=")[2])
        for component in components
        for word in component.argv
        if word.rpartition("=")[2].startswith(str(folder.root))
    }
    assert len(given) >= 20
    assert [path for path in given - written_later if not path.exists()] == []


def test_every_need_can_be_met(cluster: tuple[ClusterFolder, tuple[Component, ...]]) -> None:
    _, components = cluster
    started: set[str] = set()
    while startable := [c for c in components if c.name not in started and set(c.needs) <= started]:
        started |= {component.name for component in startable}
    assert started == {component.name for component in components}


def test_secrets_are_for_the_owner(cluster: tuple[ClusterFolder, tuple[Component, ...]]) -> None:
    folder, _ = cluster
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert {
        stat.S_IMODE(f.stat().st_mode) for f in [folder.kubeconfig, *folder.etc.glob("*.kubeconfig")]
    } == {0o600}


def test_people_reach_the_port_on_loopback(cluster: tuple[ClusterFolder, tuple[Component, ...]]) -> None:
    folder, _ = cluster
    config = yaml.safe_load(folder.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:12345"


def test_the_spec_is_read_as_it_was_written(cluster: tuple[ClusterFolder, tuple[Component, ...]]) -> None:
    folder, _ = cluster
    assert read_spec(folder.spec) == ClusterSpec(
        name="test", bare=json.loads(folder.spec.read_text())["bare"], port=12345, fake_nodes=2
    )


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20

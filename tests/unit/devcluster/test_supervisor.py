import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vaka.devcluster.components import Component
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.pki import Identity, write_pki
from vaka.devcluster.supervisor import ClusterState, Supervisor, read_state


@pytest.fixture
def folder(tmp_path: Path) -> ClusterFolder:
    folder = ClusterFolder(tmp_path)
    folder.logs.mkdir()
    folder.data.mkdir()
    write_pki(folder.pki, cluster={"admin": Identity("admin")}, front_proxy={})
    return folder


def shell(name: str, script: str, *needs: str, once: bool = False) -> Component:
    return Component(name=name, argv=("sh", "-c", script), needs=needs, once=once)


@contextlib.asynccontextmanager
async def supervised(folder: ClusterFolder, *components: Component) -> AsyncIterator[None]:
    supervisor = Supervisor(folder, components)
    running = asyncio.create_task(supervisor.run())
    yield
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await supervisor.stop()


async def until_ready(folder: ClusterFolder) -> ClusterState:
    while not (state := read_state(folder.state)).ready:
        await asyncio.sleep(0.01)
    return state


async def test_each_starts_after_what_it_needs(folder: ClusterFolder) -> None:
    second = shell("second", "cat first && touch second && exec sleep 60", "first")
    first = shell("first", "sleep 0.2; touch first", once=True)
    async with supervised(folder, second, first):
        state = await until_ready(folder)
    assert {name: each.restarts for name, each in state.components.items()} == {"first": 0, "second": 0}


async def test_what_must_succeed_once_is_tried_until_it_does(folder: ClusterFolder) -> None:
    async with supervised(folder, shell("job", "[ -e tried ] || { touch tried; exit 3; }", once=True)):
        state = await until_ready(folder)
    assert state.components["job"].restarts == 1


async def test_what_is_killed_comes_back(folder: ClusterFolder) -> None:
    async with supervised(folder, shell("server", "exec sleep 60")):
        before = (await until_ready(folder)).components["server"].pid
        os.kill(before, 9)
        while (
            entry := read_state(folder.state).components["server"]
        ).pid == before or entry.state != "ready":
            await asyncio.sleep(0.01)
    assert (entry.restarts, entry.pid != before) == (1, True)


async def test_the_state_says_how_it_ended(folder: ClusterFolder) -> None:
    async with supervised(folder, shell("bad", "echo no config; exit 7", once=True)):
        while not (entry := read_state(folder.state).components.get("bad")) or entry.state != "stopped":
            await asyncio.sleep(0.01)
    assert entry.message == "ended with exit status 7"
    assert folder.log("bad").read_text().startswith("no config\n")


async def test_it_is_ready_when_its_socket_accepts(folder: ClusterFolder) -> None:
    script = "import socket,time; s=socket.socket(1); time.sleep(.2); s.bind('s'); s.listen(); time.sleep(60)"
    server = Component(name="s", argv=("python3", "-c", script), health=str(folder.data / "s"))
    async with supervised(folder, server):
        state = await until_ready(folder)
    assert state.components["s"].seconds >= 0.2


async def test_stop_leaves_no_process(folder: ClusterFolder) -> None:
    async with supervised(folder, shell("tree", "sleep 60 & sleep 60")):
        pid = (await until_ready(folder)).components["tree"].pid
    with contextlib.suppress(ProcessLookupError):
        while True:  # until init has reaped the orphan
            os.killpg(pid, 0)
            await asyncio.sleep(0.01)


def test_a_cluster_that_never_ran_is_not_ready(tmp_path: Path) -> None:
    assert not read_state(tmp_path / "state.json").ready

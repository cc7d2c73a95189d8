import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from vaka.serving.engines import choice
from vaka.serving.engines.choice import quicker
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.samples import noise
from vaka.serving.engines.translate import translate
from vaka.serving.engines.verdict import BROKEN_OFF, Verdict, tell, verdict_in


@pytest.fixture
def won_by(monkeypatch):
    """Lets ncnn win every contest; what it computes is the given graph. Tells which were held."""

    def let(graph):
        held = []

        async def contest(_, folder):
            held.append(folder)
            await asyncio.sleep(0)
            translate(graph, folder)
            tell(Verdict("ncnn", "it is quick"), folder)
            return verdict_in(folder)

        monkeypatch.setattr(choice, "_contest", contest)
        return held

    return let


async def test_the_winner_is_taken(models, tmp_path, won_by):
    graph = models.convolutions(tmp_path / "g.onnx")
    won_by(graph)
    plain = OnnxRuntime(graph)
    engine = await quicker(plain, graph, tmp_path / "scratch")
    assert engine.name == "ncnn"
    inputs = noise(plain.signature, 2, largest=255)
    np.testing.assert_allclose(engine.run(["y"], inputs)[0], plain.run(["y"], inputs)[0], rtol=1e-3)


async def test_a_winner_that_gives_something_else_in_this_process_is_not_taken(models, tmp_path, won_by):
    graph = models.convolutions(tmp_path / "g.onnx")
    won_by(models.convolutions(tmp_path / "other.onnx", filters=4))
    assert await quicker(OnnxRuntime(graph), graph, tmp_path / "scratch") is None


async def test_processes_take_turns_and_the_first_holds_the_contest_for_all(models, tmp_path, won_by):
    graph = models.convolutions(tmp_path / "g.onnx")
    held = won_by(graph)
    asked = [quicker(OnnxRuntime(graph), graph, tmp_path / "scratch") for _ in range(3)]
    assert [engine.name for engine in await asyncio.gather(*asked)] == ["ncnn"] * 3
    assert len(held) == 1


async def test_a_contest_that_fails_is_not_held_again(models, tmp_path):
    graph = models.convolutions(tmp_path / "g.onnx")
    plain = OnnxRuntime(graph)
    graph.write_bytes(b"no graph, but Conv")
    assert await quicker(plain, graph, tmp_path) is None
    assert verdict_in(tmp_path / "engines") == BROKEN_OFF
    models.convolutions(graph)
    assert await quicker(plain, graph, tmp_path) is None


@pytest.mark.parametrize("spare", [0, 1 << 40])
async def test_no_contest_is_held_where_there_is_nothing_to_gain_or_no_memory(
    models, tmp_path, monkeypatch, spare
):
    monkeypatch.setattr(choice, "spare_memory", lambda: spare)
    graph = models.identity(tmp_path / "g.onnx") if spare else models.convolutions(tmp_path / "g.onnx")
    assert await quicker(OnnxRuntime(graph), graph, tmp_path / "scratch") is None
    assert not (tmp_path / "scratch").exists()


async def test_memory_that_others_took_before_its_turn_is_not_counted_on(
    models, tmp_path, won_by, monkeypatch
):
    spare = iter([1 << 40, 0])
    monkeypatch.setattr(choice, "spare_memory", lambda: next(spare))
    graph = models.convolutions(tmp_path / "g.onnx")
    held = won_by(graph)
    assert await quicker(OnnxRuntime(graph), graph, tmp_path / "scratch") is None
    assert not held


async def test_a_server_that_ends_leaves_no_contest_behind(tmp_path):
    os.mkfifo(tmp_path / "g.onnx")  # who opens it waits for a writer
    held = asyncio.create_task(choice._contest(tmp_path / "g.onnx", tmp_path))
    while not (running := _children()):
        await asyncio.sleep(0.01)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert not running & _children()


def _children() -> set[str]:
    """Process ids of contests that this process has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    pids = {pid for file in tasks for pid in file.read_text().split()}
    return {pid for pid in pids if b"contest" in Path(f"/proc/{pid}/cmdline").read_bytes()}

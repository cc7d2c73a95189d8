import asyncio
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from vaka.serving.engines import choice
from vaka.serving.engines.choice import quicker
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.samples import noise
from vaka.serving.engines.translate import translate
from vaka.serving.engines.verdict import VERDICT, Verdict


@pytest.fixture
def won_by(monkeypatch):
    """Lets ncnn win every contest; what it computes is the given graph."""

    def let(graph):
        async def hold(_, folder):
            translate(graph, folder)
            (folder / VERDICT).write_bytes(msgspec.json.encode(Verdict("ncnn", "it is quick")))

        monkeypatch.setattr(choice, "_hold", hold)

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


@pytest.mark.parametrize("spare", [0, 1 << 40])
async def test_no_contest_is_held_where_there_is_nothing_to_gain_or_no_memory(
    models, tmp_path, monkeypatch, spare
):
    monkeypatch.setattr(choice, "spare_memory", lambda: spare)
    graph = models.identity(tmp_path / "g.onnx") if spare else models.convolutions(tmp_path / "g.onnx")
    assert await quicker(OnnxRuntime(graph), graph, tmp_path / "scratch") is None
    assert not (tmp_path / "scratch").exists()


async def test_a_server_that_ends_leaves_no_contest_behind(tmp_path):
    os.mkfifo(tmp_path / "g.onnx")  # who opens it waits for a writer
    held = asyncio.create_task(choice._hold(tmp_path / "g.onnx", tmp_path))
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

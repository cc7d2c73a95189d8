"""The engine that a server goes over to, once it is ready and a contest has found a quicker one."""

import asyncio
import fcntl
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from vaka.serving.engines.engine import Engine, Unsuitable
from vaka.serving.engines.ncnn import Ncnn, is_installed
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.spare import spare_memory
from vaka.serving.engines.verdict import BROKEN_OFF, Verdict, check_agree, tell, verdict_in

CONVOLUTION = b"Conv"
"""The name of the operator, as it stands in an ONNX file: without it there is nothing to gain."""
LARGEST = 64 * 2**20
"""Bytes of a graph that is tried: a larger one would have the memory twice for a while."""
NEEDED = 192 * 2**20
"""Bytes of memory that a contest takes for libraries, beside a few times the graph."""
PATIENCE_S = 120.0
POLL_S = 0.05

log = logging.getLogger(__name__)


async def quicker(plain: OnnxRuntime, graph: Path, scratch: Path) -> Engine | None:
    """An engine that is quicker than ONNX Runtime here, and gives the same; None where none is.

    Args:
        plain: the graph, as it is served until then.
        scratch: a folder of the server's own, the same for all of its processes.
    """
    if not await asyncio.to_thread(_may_gain, graph):
        return None
    folder = scratch / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    async with _turn(folder):
        if not _has_room(graph):  # the others have taken some since
            return None
        verdict = verdict_in(folder) or await _contest(graph, folder)
        log.info("engine: %s, for %s", verdict.engine, verdict.why)
        if verdict.engine == plain.name:
            return None
        return await asyncio.to_thread(_checked, plain, folder)


def _may_gain(graph: Path) -> bool:
    if not is_installed() or graph.stat().st_size > LARGEST or not _has_room(graph):
        return False
    return CONVOLUTION in graph.read_bytes()


def _has_room(graph: Path) -> bool:
    return spare_memory() >= NEEDED + 8 * graph.stat().st_size


@asynccontextmanager
async def _turn(folder: Path) -> AsyncIterator[None]:
    """One of the server's processes at a time, so that each sees what memory the others have left."""
    with (folder / ".turn").open("w") as lock:
        while not _try_lock(lock):
            await asyncio.sleep(POLL_S)  # a lock that is waited for cannot be given up
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _contest(graph: Path, folder: Path) -> Verdict:
    """Hold the contest; whatever ends it or this process, it is not held again."""
    tell(BROKEN_OFF, folder)
    command = (sys.executable, "-m", "vaka.serving.engines.contest", str(graph), str(folder))
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
    except TimeoutError:
        log.info("engine: the contest takes too long")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return verdict_in(folder) or BROKEN_OFF


def _checked(plain: OnnxRuntime, folder: Path) -> Engine | None:
    """The other engine, if it gives the same in this process as well: files may have changed since."""
    try:
        other = Ncnn(folder, plain.signature)
        check_agree(plain, other, plain.signature)
    except Unsuitable as error:
        log.warning("engine: %s", error)
        return None
    return other

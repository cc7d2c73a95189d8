import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from vaka.serving.app import MAX_BODY, App, refusal
from vaka.serving.batcher import BatchPolicy
from vaka.serving.board import Board
from vaka.serving.columns import COLUMNS
from vaka.serving.handover import give
from vaka.serving.holder import ModelHolder
from vaka.serving.http import HttpServer
from vaka.serving.metrics import Metrics
from vaka.serving.options import ModelSource
from vaka.serving.repository import Repository
from vaka.serving.taps.tap import Tap

Serve = Callable[..., Awaitable[httpx.AsyncClient]]
Listening = Callable[[HttpServer], AbstractAsyncContextManager[int]]


@asynccontextmanager
async def _listening(server: HttpServer) -> AsyncIterator[int]:
    """A port of which the server is given the connections, as the first process gives them."""
    loop = asyncio.get_running_loop()
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with socket.create_server(("127.0.0.1", 0)) as listener, ours, its:
        listener.setblocking(False)

        async def accept() -> None:
            while True:
                connection, _ = await loop.sock_accept(listener)
                with connection:
                    assert give(ours, connection, wait=True)

        server.adopt_from(its, orphaned=lambda: None)
        accepting = asyncio.create_task(accept())
        yield int(listener.getsockname()[1])
        accepting.cancel()
        await server.close(1)
        loop.remove_reader(its)


@pytest.fixture(scope="session")
def listening() -> Listening:
    return _listening


@pytest.fixture
async def serve(tmp_path: Path, listening: Listening) -> AsyncIterator[Serve]:
    """Makes a client of a server of the model at a path, loaded unless `wait` is false."""
    clients: list[httpx.AsyncClient] = []
    servers = AsyncExitStack()
    tasks: list[asyncio.Task[None]] = []
    running: list[asyncio.Task[None]] = []

    async def start(
        model: Path,
        *,
        wait: bool = True,
        max_body: int = MAX_BODY,
        versions: Mapping[str, Path] = MappingProxyType({}),
        taps: Callable[[Metrics], list[Tap]] = lambda _: [],
        **policy: Any,
    ) -> httpx.AsyncClient:
        metrics = Metrics(Board(rows=1, columns=COLUMNS), 0, lambda: repository.info())
        sources = [ModelSource(name="m", version=name, uri=str(uri)) for name, uri in versions.items()]
        sources.insert(0, ModelSource(name="m", uri=str(model)))
        made = taps(metrics)
        rules = BatchPolicy(**policy)
        repository = Repository(
            [ModelHolder(s, tmp_path / s.version, rules, metrics.batch, taps=made) for s in sources]
        )
        running.extend(asyncio.create_task(tap.run()) for tap in made)
        tasks.append(asyncio.create_task(repository.keep_loading()))
        if wait:
            await tasks[-1]
        app = App(repository, metrics, is_ready=lambda: repository.ready, max_body=max_body)
        port = await servers.enter_async_context(listening(HttpServer(app, refusal, max_body=max_body)))
        clients.append(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()
    await servers.aclose()
    for task in [*tasks, *running]:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
def counted() -> Callable[[httpx.AsyncClient, str], Awaitable[None]]:
    """Waits until /metrics has the line."""

    async def wait(client: httpx.AsyncClient, line: str) -> None:
        while line not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)

    return wait

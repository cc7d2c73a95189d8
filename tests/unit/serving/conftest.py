import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from vaka.serving.app import MAX_BODY, App, refusal
from vaka.serving.batcher import BatchPolicy
from vaka.serving.board import Board
from vaka.serving.columns import COLUMNS
from vaka.serving.holder import ModelHolder
from vaka.serving.http import HttpServer
from vaka.serving.metrics import Metrics
from vaka.serving.options import ModelSource

Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Makes a client of a server of the model at a path, loaded unless `wait` is false."""
    clients: list[httpx.AsyncClient] = []
    servers: list[HttpServer] = []
    tasks: list[asyncio.Task[None]] = []

    async def start(
        model: Path, *, wait: bool = True, max_body: int = MAX_BODY, **policy: Any
    ) -> httpx.AsyncClient:
        metrics = Metrics(Board(rows=1, columns=COLUMNS), 0, lambda: holder.info())
        source = ModelSource(name="m", uri=str(model))
        holder = ModelHolder(source, tmp_path / "scratch", BatchPolicy(**policy), metrics.batch)
        tasks.append(asyncio.create_task(holder.keep_loading()))
        if wait:
            await tasks[-1]
        app = App(holder, metrics, is_ready=lambda: holder.ready, max_body=max_body)
        servers.append(HttpServer(app, refusal, max_body=max_body))
        port = await servers[-1].start("127.0.0.1", 0)
        clients.append(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()
    for server in servers:
        await server.close(1)
    for task in tasks:
        task.cancel()

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from vaka.serving.app import create_app
from vaka.serving.holder import ModelHolder
from vaka.serving.load import ModelSource
from vaka.serving.metrics import Metrics

Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Makes a client of an app that serves the model at a path, loaded unless `wait` is false."""
    clients: list[httpx.AsyncClient] = []
    tasks: list[asyncio.Task[None]] = []

    async def start(model: Path, *, wait: bool = True, **options: int) -> httpx.AsyncClient:
        holder = ModelHolder(ModelSource(name="m", uri=str(model)), tmp_path / "scratch")
        tasks.append(asyncio.create_task(holder.keep_loading()))
        if wait:
            await tasks[-1]
        app = create_app(holder, Metrics(CollectorRegistry(), holder.info), **options)
        transport = httpx.ASGITransport(app)
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://server"))
        return clients[-1]

    yield start
    for client in clients:
        await client.aclose()
    for task in tasks:
        task.cancel()

"""What the operator makes of an API server's moods; all else is tested with a real one."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio import client

from vaka_operator import cluster as module
from vaka_operator.cluster import ATTEMPTS, REPORT_TIMEOUT, Cluster, ClusterError


@pytest.fixture
def answers() -> list[int]:
    """The statuses that are answered, one after the other."""
    return []


@pytest.fixture
async def cluster(answers: list[int], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(module, "RETRY", replace(module.RETRY, duration=0.0))  # as soon as the server says
    statuses: Iterator[int] = iter(answers)

    async def answer(_: web.Request) -> web.Response:
        told: dict[str, Any] = {"message": "storage is (re)initializing"}
        return web.json_response(told, status=next(statuses), headers={"Retry-After": "0"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api = client.ApiClient(client.Configuration(host=f"http://{host}:{port}"))
    async with Cluster(api, aiohttp.ClientSession(timeout=REPORT_TIMEOUT)) as cluster:
        yield cluster
    await runner.cleanup()


async def test_a_busy_api_server_is_asked_again(cluster: Cluster, answers: list[int]) -> None:
    answers += [429, 429, 200]
    assert await cluster.get("Pod", "here", "one") == {"message": "storage is (re)initializing"}


async def test_one_that_stays_busy_is_an_error_that_says_so(cluster: Cluster, answers: list[int]) -> None:
    answers += [429] * ATTEMPTS
    with pytest.raises(ClusterError, match="429: storage is"):
        await cluster.get("Pod", "here", "one")


async def test_what_is_absent_is_not_asked_for_again(cluster: Cluster, answers: list[int]) -> None:
    answers += [404]
    assert await cluster.get("Pod", "here", "one") is None

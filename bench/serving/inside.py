"""Vaka's server inside this process, its connections without sockets: what costs is its own work alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bodies import Protocol, images
from model import NAME

from vaka.serving.app import MAX_BODY, App, refusal
from vaka.serving.batcher import BatchPolicy
from vaka.serving.board import Board
from vaka.serving.columns import COLUMNS
from vaka.serving.holder import ModelHolder
from vaka.serving.http import App as Answers
from vaka.serving.http import Connection, HttpServer
from vaka.serving.metrics import Metrics
from vaka.serving.options import ModelSource
from vaka.serving.repository import Repository

TOGETHER = 16
"""Requests that are asked at the same time: what a batch holds."""
GROUPS = 64


@dataclass(frozen=True, kw_only=True)
class Inside:
    """The parts of a server with a loaded model."""

    app: App
    holder: ModelHolder
    metrics: Metrics


@asynccontextmanager
async def inside(graph: Path, scratch: Path) -> AsyncIterator[Inside]:
    """The server as `vaka serve` has it in each of its processes."""
    repository: Repository

    def info() -> list[dict[str, str]]:
        return repository.info()

    metrics = Metrics(Board(rows=1, columns=COLUMNS), 0, info)
    source = ModelSource(name=NAME, uri=str(graph))
    holder = ModelHolder(source, scratch, BatchPolicy(max_batch_size=TOGETHER), metrics.batch)
    repository = Repository([holder])
    await repository.keep_loading()
    await repository.quicken()
    yield Inside(
        app=App(repository, metrics, is_ready=lambda: repository.ready), holder=holder, metrics=metrics
    )


def requests(protocol: Protocol) -> list[list[bytes]]:
    """GROUPS times TOGETHER different requests, as a client sends them."""
    return [[_head(protocol, body) + body for body in group] for group in groups(protocol)]


def groups(protocol: Protocol) -> list[list[bytes]]:
    """The bodies of the same."""
    chosen = images()[: GROUPS * TOGETHER].reshape(GROUPS, TOGETHER, *images().shape[1:])
    return [[protocol.body(image) for image in group] for group in chosen]


def _head(protocol: Protocol, body: bytes) -> bytes:
    fields = {"host": "127.0.0.1:8080", "content-length": str(len(body))} | protocol.headers
    lines = [f"POST {protocol.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class Clients:
    """Connections to an application, each with one request open at most."""

    def __init__(self, app: Answers) -> None:
        self._server = HttpServer(app, refusal, max_body=MAX_BODY)
        self._connections = [Connection(self._server) for _ in range(TOGETHER)]
        for connection in self._connections:
            connection.connection_made(_Collecting(self))
        self._open = 0
        self._answered = asyncio.Event()

    def send(self, asked: list[bytes]) -> None:
        """What the server does as the bytes of these requests come in."""
        self._open += len(asked)
        self._answered.clear()
        for connection, content in zip(self._connections, asked, strict=False):
            connection.data_received(content)

    async def answers(self) -> None:
        """Wait until all are answered."""
        await self._answered.wait()

    def take(self, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"not 200: {answer!r}")
        self._open -= 1
        if not self._open:
            self._answered.set()


class _Collecting(asyncio.Transport):
    """Hands what is written to the clients."""

    def __init__(self, clients: Clients) -> None:
        super().__init__()
        self._clients = clients

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._clients.take(bytes(data))

    def is_closing(self) -> bool:
        return False

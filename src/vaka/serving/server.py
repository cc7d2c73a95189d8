"""The server's process: listen at once, load the model meanwhile, drain before going."""

import asyncio
import logging
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from vaka.serving.app import create_app
from vaka.serving.holder import ModelHolder
from vaka.serving.load import ModelSource
from vaka.serving.metrics import Metrics

BACKLOG = 2048
FINISH_SECONDS = 20
"""How long requests in flight may still take once the drain is over."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where to listen, and how long to answer on after SIGTERM, until load balancers have learnt of it."""

    host: str
    http_port: int
    grpc_port: int | None = None
    drain_seconds: float


def run(source: ModelSource, options: Options) -> None:
    """Serve until SIGTERM or SIGINT. OSError if the port cannot be had."""
    with (
        _listening(options.host, options.http_port) as listener,
        tempfile.TemporaryDirectory(prefix="vaka-") as scratch,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(source, options, listener, Path(scratch)))


async def _serve(source: ModelSource, options: Options, listener: socket.socket, scratch: Path) -> None:
    holder = ModelHolder(source, scratch)
    metrics = Metrics(CollectorRegistry(), holder.info)
    server = _Server(_config(create_app(holder, metrics)), holder, options.drain_seconds)
    async with _grpc(holder, metrics, options):
        host, port = listener.getsockname()[:2]
        log.info("listening on http://%s:%d, model %s from %s", host, port, source.name, source.uri)
        loading = asyncio.create_task(holder.keep_loading())
        await server.serve(sockets=[listener])
        loading.cancel()
    log.info("all requests are answered: goodbye")


@asynccontextmanager
async def _grpc(holder: ModelHolder, metrics: Metrics, options: Options) -> AsyncIterator[None]:
    """Serve gRPC as well, if a port is given for it; its library is large, so it is imported only then."""
    if options.grpc_port is None:
        yield
        return
    from vaka.serving import grpc

    address = f"{options.host}:{options.grpc_port}"
    async with grpc.serving(holder, metrics, address, grace=FINISH_SECONDS) as port:
        log.info("listening on grpc://%s:%d", options.host, port)
        yield


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )


class _Server(uvicorn.Server):
    """A server that first says it is not ready, goes on answering while others learn it, and then stops."""

    def __init__(self, config: uvicorn.Config, holder: ModelHolder, drain_seconds: float) -> None:
        super().__init__(config)
        self._holder = holder
        self._drain_seconds = drain_seconds
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """SIGTERM drains; SIGINT, or a second signal, stops at once.

        The signal is not noted for the base class to raise once more: a drained server exits with 0.
        """
        wait = 0.0 if self._holder.draining or sig == signal.SIGINT else self._drain_seconds
        self._holder.drain()
        self._loop.call_soon_threadsafe(self._stop_after, wait, signal.Signals(sig).name)

    def _stop_after(self, seconds: float, cause: str) -> None:
        log.info("%s: not ready from now on, stopping in %g s", cause, seconds)
        self._loop.call_later(seconds, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    with listener:
        yield listener

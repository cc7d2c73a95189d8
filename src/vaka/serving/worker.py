"""One process of the server: load the model, take connections meanwhile if that lasts, drain before going."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import uvloop

from vaka.serving.app import MAX_BODY, App, refusal
from vaka.serving.batcher import BatchPolicy
from vaka.serving.board import Board
from vaka.serving.columns import ENDED, LOADING, PID
from vaka.serving.fleet import Place
from vaka.serving.holder import ModelHolder
from vaka.serving.http import HttpServer
from vaka.serving.metrics import Metrics
from vaka.serving.options import ModelSource, Options
from vaka.serving.repository import Repository
from vaka.serving.taps.tap import Tap

FINISH_SECONDS = 20
"""How long requests in flight may still take once the drain is over."""

PROMPT_S = 1.0
"""How long connections wait for the model when a server starts: a prompt one is ready when first asked.

Shorter than the time-out of whoever asks, which is two seconds for the pods' probes.
"""

PREPARE_S = 5.0
"""How long a process that takes another's place may load its model, which is on this machine already."""

SHORTEST_AGE_S = 1.0
"""A gRPC client's connection lives so long at least."""

log = logging.getLogger(__name__)


def run(sources: list[ModelSource], options: Options, board: Board, scratch: Path, place: Place) -> None:
    """Serve until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Worker(sources, options, board, scratch, place).serve())


class _Worker:
    def __init__(
        self, sources: list[ModelSource], options: Options, board: Board, scratch: Path, place: Place
    ) -> None:
        self._options = options
        self._board = board
        self._row = board.row(place.number)
        self._place = place
        self._metrics = Metrics(board, place.number, lambda: self._repository.info())
        policy = BatchPolicy(
            max_batch_size=options.max_batch_size,
            max_latency=options.max_latency,
            timeout=options.timeout,
            concurrency=-(-options.concurrency // options.processes),
        )
        self._taps = taps(options, self._metrics)
        self._repository = Repository(
            [
                ModelHolder(one, scratch / one.version, policy, self._metrics.batch, taps=self._taps)
                for one in sources
            ]
        )
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        """Until a signal has come and all is answered."""
        loop = asyncio.get_running_loop()
        self._row[PID] = os.getpid()
        app = App(self._repository, self._metrics, is_ready=self._is_ready)
        http = HttpServer(app, refusal, max_body=MAX_BODY, ended=self._count_ended)
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self._end, one)
        loading = asyncio.create_task(self._load())
        tasks = [loading, *(asyncio.create_task(tap.run()) for tap in self._taps)]
        if self._options.engine == "auto" and not self._place.again:  # another engine may be why one ended
            tasks.append(asyncio.create_task(self._quicken(loading)))
        await self._prepare(loading)
        async with self._grpc():
            http.adopt_from(self._place.channel, orphaned=lambda: self._end(signal.SIGINT))
            await self._stop.wait()
            await http.close(FINISH_SECONDS)
        await asyncio.gather(*(tap.finish() for tap in self._taps))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_ready(self) -> bool:
        """Connections may come to any of the processes that take them, so none of these may be loading."""
        return self._repository.ready and not any(self._board.column(LOADING))

    async def _load(self) -> None:
        await self._repository.keep_loading()
        self._row[LOADING] = 0

    async def _quicken(self, loading: asyncio.Task[None]) -> None:
        await loading
        try:
            await self._repository.quicken()
        except Exception:  # it is served as before
            log.exception("no quicker engine was looked for")

    async def _prepare(self, loading: asyncio.Task[None]) -> None:
        """Load first: what comes meanwhile waits, or goes to the others where one takes another's place."""
        await asyncio.wait([loading], timeout=PREPARE_S if self._place.again else PROMPT_S)
        if not loading.done():
            self._row[LOADING] = 1  # it can say at least why

    @asynccontextmanager
    async def _grpc(self) -> AsyncIterator[None]:
        """Serve gRPC as well, if a port is given for it: only then is its large library imported."""
        if self._options.grpc_port is None:
            yield
            return
        from vaka.serving import grpc

        address = f"{self._options.host}:{self._options.grpc_port}"
        age = max(SHORTEST_AGE_S, self._options.drain_seconds / 2)
        async with grpc.serving(
            self._repository,
            self._metrics,
            address,
            is_ready=self._is_ready,
            grace=FINISH_SECONDS,
            connection_age=age,
        ):
            yield

    def _end(self, sig: int) -> None:
        """SIGTERM drains; SIGINT, or a second signal, stops at once."""
        wait = 0.0 if self._repository.draining or sig == signal.SIGINT else self._options.drain_seconds
        self._repository.drain()
        log.info("%s: not ready from now on, stopping in %g s", signal.Signals(sig).name, wait)
        asyncio.get_running_loop().call_later(wait, self._stop.set)

    def _count_ended(self) -> None:
        self._row[ENDED] += 1


def taps(options: Options, metrics: Metrics) -> list[Tap]:
    """What the options ask for; their HTTP library is imported only then."""
    found: list[Tap] = []
    if options.shadow:
        from vaka.serving.taps.shadow import Shadow

        count = partial(metrics.tapped, "shadow")
        found.append(Shadow(options.shadow.url, percent=options.shadow.percent, count=count))
    if log_to := options.payloads:
        from vaka.serving.taps.payloads import payload_log

        count = partial(metrics.tapped, "payloads")
        found.append(payload_log(log_to.uri, mode=log_to.mode, percent=log_to.percent, count=count))
    return found

"""HTTP/1.1 for one application on asyncio, with no layer between the parser and the application.

Measured beside uvicorn and granian, that is what makes the difference where an answer takes a few hundred
microseconds: see bench/serving.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Protocol

from vaka.serving.connection import Connection
from vaka.serving.handover import ENOUGH, TAKES, take
from vaka.serving.messages import App, Refuse

log = logging.getLogger(__name__)


class Open(Protocol):
    """A client's connection, whatever it speaks."""

    def finish(self) -> None:
        """End, once what has begun to come in is answered."""

    def abort(self) -> None:
        """End now."""

    def check_silence(self) -> None:
        """Called each second: end where the client has been silent for too long."""


class HttpServer:
    """Serves an application on connections that it is given.

    Args:
        app: answers requests; what it raises is answered with 500.
        refuse: makes the answer to what is no request for the application (status, message).
        max_body: bytes that a body may have.
        ended: called when a connection has ended.
    """

    def __init__(
        self, app: App, refuse: Refuse, *, max_body: int, ended: Callable[[], None] = lambda: None
    ) -> None:
        self.app = app
        self.refuse = refuse
        self.max_body = max_body
        self.closing = False
        self.connections: set[Open] = set()
        self.now = 0.0
        self.date = ""
        self._ended = ended
        self._channel: socket.socket | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._adopting: set[asyncio.Task[None]] = set()

    def adopt_from(self, channel: socket.socket, *, orphaned: Callable[[], None]) -> None:
        """Take the connections that another process gives; see handover.

        Args:
            orphaned: called when the other process has ended.
        """
        self._tick()
        self._channel = channel
        asyncio.get_running_loop().add_reader(channel, self._take_all, channel, orphaned)
        channel.send(TAKES)

    def _take_all(self, channel: socket.socket, orphaned: Callable[[], None]) -> None:
        try:
            while connection := take(channel):
                adopting = asyncio.get_running_loop().create_task(self._adopt(connection))
                self._adopting.add(adopting)
                adopting.add_done_callback(self._adopting.discard)
        except BlockingIOError:
            return
        except OSError as error:
            log.warning("%s", error)
            self._ended()
            return
        asyncio.get_running_loop().remove_reader(channel)
        orphaned()

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: Connection(self), connection)
        except OSError:  # it has ended already
            connection.close()
            self._ended()

    async def close(self, grace: float) -> None:
        """Take no more connections, answer what has begun to come in, end after `grace` seconds at most."""
        self.closing = True
        if self._channel:
            with suppress(ConnectionError):  # who gives has ended
                self._channel.send(ENOUGH)
        await asyncio.gather(*self._adopting)
        for connection in list(self.connections):
            connection.finish()
        try:
            async with asyncio.timeout(grace):
                while self.connections:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
        if self._ticking:
            self._ticking.cancel()

    def gone(self, connection: Open) -> None:
        self.connections.discard(connection)
        self._emptied.set()
        self._ended()

    def _tick(self) -> None:
        """Once a second: what would cost too much for each request."""
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self.date = formatdate(usegmt=True)
        for connection in list(self.connections):
            connection.check_silence()
        self._ticking = loop.call_later(1, self._tick)

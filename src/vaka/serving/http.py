"""HTTP/1.1 for one application on asyncio, with no layer between the parser and the application.

Measured beside uvicorn and granian, that is what makes the difference where an answer takes a few hundred
microseconds: see bench/serving.
"""

import asyncio
from email.utils import formatdate
from typing import Protocol

from vaka.serving.connection import Connection
from vaka.serving.messages import App, Refuse


class Open(Protocol):
    """A client's connection, whatever it speaks."""

    def finish(self) -> None:
        """End, once what has begun to come in is answered."""

    def abort(self) -> None:
        """End now."""

    def check_silence(self) -> None:
        """Called each second: end where the client has been silent for too long."""


class HttpServer:
    """Serves an application on a listening socket of its own.

    Args:
        app: answers requests; what it raises is answered with 500.
        refuse: makes the answer to what is no request for the application (status, message).
        max_body: bytes that a body may have.
    """

    def __init__(self, app: App, refuse: Refuse, *, max_body: int) -> None:
        self.app = app
        self.refuse = refuse
        self.max_body = max_body
        self.closing = False
        self.connections: set[Open] = set()
        self.now = 0.0
        self.date = ""
        self._listener: asyncio.Server | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    async def start(self, host: str, port: int, *, backlog: int = 2048, reuse_port: bool = False) -> int:
        """Listen; gives the port. OSError where it cannot be had."""
        loop = asyncio.get_running_loop()
        self._tick()
        self._listener = await loop.create_server(
            lambda: Connection(self), host, port, backlog=backlog, reuse_port=reuse_port
        )
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self, grace: float) -> None:
        """Take no more connections, answer what has begun to come in, end after `grace` seconds at most."""
        self.closing = True
        if self._listener:
            self._listener.close()
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

    def _tick(self) -> None:
        """Once a second: what would cost too much for each request."""
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self.date = formatdate(usegmt=True)
        for connection in list(self.connections):
            connection.check_silence()
        self._ticking = loop.call_later(1, self._tick)

"""One client's HTTP/1.1 connection: llhttp (httptools) parses, this module keeps order and limits.

One request of a connection is answered at a time, in the order in which they came (RFC 9112).
"""

import asyncio
import logging
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from vaka.serving.messages import Request, Response

if TYPE_CHECKING:
    from vaka.serving.http import HttpServer

MAX_HEAD = 64 * 1024
"""Bytes that request line and headers may have."""
PIPELINED = 8
"""Requests of one connection that are read ahead."""
IDLE_S = 75.0
"""How long a connection may wait for its next request."""
SILENCE_S = 30.0
"""How long a client may say nothing in the middle of a request."""
LINGER_S = 2.0
"""How long a connection stays after a refusal, so that the client reads it before the connection is reset."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REASONS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._receiving: Request | None = None
        self._in_head = False
        self._size = 0
        self._chunks: list[bytes] = []
        self._complete: deque[Request] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._paused = False
        self._ending = False
        """Nothing more is read."""
        self._held: bytes | None = None
        """What came after a request for a WebSocket: of which protocol it is, the answer decides."""
        self._since = server.now

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the same methods and another base class.
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        if self._server.closing:
            transport.close()  # it was on its way when this began

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._ending = True
        if self._answering:
            self._answering.cancel()
        self._server.gone(self)

    def data_received(self, data: bytes) -> None:
        self._since = self._server.now
        if self._ending:
            return
        if self._held is not None:
            self._hold(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(400, f"this is no HTTP/1.1: {error}")
            return
        if self._in_head:
            self._size += len(data)
            if self._size > MAX_HEAD:
                self._refuse(431, f"request line and headers are larger than {MAX_HEAD} bytes")

    def _upgrade(self, rest: bytes) -> None:
        """Leave a WebSocket to the application; other protocols are not offered (RFC 9110, section 7.8)."""
        asked, self._receiving = self._receiving, None
        self._parser = httptools.HttpRequestParser(self)
        if asked and asked.header(b"upgrade").lower() == "websocket":
            self._held = b""
            self._hold(rest)
            self._complete.append(asked)
            if self._answering is None:
                self._answer_next()
            return
        self._decline(asked, rest)

    def _hold(self, data: bytes) -> None:
        self._held = (self._held or b"") + data
        if len(self._held) > MAX_HEAD:
            self._ending = True
            self._transport.close()  # nobody may say so much before the answer

    def _release(self) -> None:
        """Read on: the answer was none that switches."""
        held, self._held = self._held, None
        if held:
            self.data_received(held)

    def _decline(self, asked: Request | None, rest: bytes) -> None:
        """Read the request as if it had not asked for another protocol."""
        if asked:
            del asked.headers[b"upgrade"]
            lines = [b"%b: %b" % header for header in asked.headers.items()]
            start = b"%b %b HTTP/1.1" % (asked.method.encode(), asked.target)
            rest = b"\r\n".join([start, *lines, b"", rest])
        self.data_received(rest)

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self._receiving = Request()
        self._in_head = True
        self._size = 0

    def on_url(self, url: bytes) -> None:
        if self._receiving:
            self._receiving.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._receiving:
            self._receiving.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        request = self._receiving
        if request is None:
            return
        self._in_head = False
        self._size = 0
        request.method = self._parser.get_method().decode()
        request.keep_alive = self._parser.should_keep_alive()
        if self._parser.should_upgrade():
            return
        declared = request.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._server.max_body:
            self._refuse_body()
        elif request.headers.get(b"expect", b"").lower() == b"100-continue" and not self._complete:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._receiving is None:
            return
        self._size += len(body)
        if self._size > self._server.max_body:
            self._refuse_body()
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._receiving is None or self._parser.should_upgrade():
            return
        request, self._receiving = self._receiving, None
        request.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._complete.append(request)
        if len(self._complete) >= PIPELINED and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if self._answering is None:
            self._answer_next()

    # what is answered

    def _answer_next(self) -> None:
        request = self._complete.popleft()
        self._answering = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._server.app(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            response = self._server.refuse(500, "internal error: the server's log says more")
        self._answering = None
        self._since = self._server.now
        if response.switch:
            self._switch(response.switch(self._server))
            return
        self._write(request, response)
        if self._transport.is_closing():
            return
        if self._complete:
            self._answer_next()
        elif self._ending:
            self._transport.close()
        else:
            self._release()
        if self._paused and len(self._complete) < PIPELINED:
            self._paused = False
            self._transport.resume_reading()

    def _write(self, request: Request, response: Response) -> None:
        last = not request.keep_alive or (self._server.closing and not self._complete)
        if last:
            response.headers["connection"] = "close"
        head = self._head(response)
        self._transport.write(head if request.method == "HEAD" else head + response.body)
        if last or response.headers.get("connection") == "close":
            self._ending = True
            self._transport.close()

    def _switch(self, other: asyncio.Protocol) -> None:
        """Leave the connection to another protocol, which answers the request itself."""
        held, self._held = self._held, None
        self._server.connections.discard(self)
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        if held:
            other.data_received(held)

    def _head(self, response: Response) -> bytes:
        more = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()])
        return (
            f"{REASONS[response.status]}content-type: {response.content_type}\r\n"
            f"content-length: {len(response.body)}\r\ndate: {self._server.date}\r\n{more}\r\n"
        ).encode()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what cannot be read, after what came before it, and stop reading."""
        self._ending = True
        self._receiving = None
        self._in_head = False
        self._chunks.clear()
        if self._answering or self._complete:
            return
        response = self._server.refuse(status, message)
        response.headers["connection"] = "close"
        self._transport.write(self._head(response) + response.body)
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)

    def _refuse_body(self) -> None:
        limit = self._server.max_body
        self._refuse(413, f"the body is larger than the {limit} bytes that are accepted")

    # how it ends

    def finish(self) -> None:
        """Answer what has begun to come in, and close then."""
        if not (self._answering or self._complete or self._receiving):
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def check_silence(self) -> None:
        """Close where the client has been silent for too long."""
        silent = self._server.now - self._since
        if self._answering is None and silent > (SILENCE_S if self._receiving else IDLE_S):
            self._transport.close()

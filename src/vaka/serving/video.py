"""Video over a WebSocket (RFC 6455): a message for each frame, and what is found in it as JSON in return.

wsproto reads and writes WebSocket's frames; this module keeps up with the camera: it looks at the newest
pictures and drops the oldest ones where more come than can be answered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    TextMessage,
)
from wsproto.events import Request as Asked
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import RemoteProtocolError

from vaka.artifacts.errors import BadInput
from vaka.serving.errors import BadRequest, ServingError, UpgradeRequired
from vaka.serving.holder import ModelHolder
from vaka.serving.messages import Request, Response
from vaka.serving.metrics import Metrics

if TYPE_CHECKING:
    from vaka.serving.http import HttpServer

WAITING = 2
"""Frames that wait while one is looked at: with more, what is told would be of the past."""
RECENT = 30
"""Answers over which the frames per second are counted."""
IDLE_S = 75.0
"""How long a client may say nothing."""

Look = Callable[[bytes], Awaitable[Any]]
"""From a picture file to the prediction for it. BadInput or ServingError where there is none."""

log = logging.getLogger(__name__)


class Seen(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The answer to a frame."""

    frame: int
    """Its number among all that came, from 0."""
    prediction: Any = msgspec.UNSET
    """As V1 has it."""
    error: str | msgspec.UnsetType = msgspec.UNSET
    frames_per_second: float
    """Answers, over the last 30 of them."""
    lag_seconds: float
    """From the whole frame to this answer."""
    dropped: int
    """Frames that were passed over so far."""


class _Frame(NamedTuple):
    number: int
    content: bytes
    came: float


def video(holder: ModelHolder, request: Request, metrics: Metrics, *, largest: int) -> Response:
    """Switch to a WebSocket; ServingError where the model takes no pictures, or no WebSocket is asked for."""
    pipeline = holder.model.predictor.pipeline
    if not pipeline.frames:
        raise BadRequest(f"model {holder.source.name!r} takes no video: its input is no picture")
    if request.header(b"upgrade").lower() != "websocket":
        raise UpgradeRequired("video is sent over a WebSocket: connect with ws:// or wss://")

    async def look(content: bytes) -> Any:
        outputs = await holder.infer(pipeline.instances([content], "frames"))
        return pipeline.predictions(outputs)[0]

    switch = partial(Video, request=request, look=partial(_counted, metrics, look), largest=largest)
    return Response(status=101, switch=switch)


async def _counted(metrics: Metrics, look: Look, content: bytes) -> Any:
    code, start = "500", perf_counter()
    metrics.begin()
    try:
        found = await look(content)
        code = "200"
    except ServingError as error:
        code = str(error.status)
        raise
    except BadInput:
        code = "400"
        raise
    finally:
        metrics.end("video", code, perf_counter() - start)
    return found


class Video(asyncio.Protocol):
    """A client's WebSocket, on the connection that its request came by.

    Args:
        largest: bytes that a frame may have.
    """

    def __init__(self, server: "HttpServer", *, request: Request, look: Look, largest: int) -> None:
        self._server = server
        self._look = look
        self._largest = largest
        self._socket = WSConnection(ConnectionType.SERVER)
        self._request = request
        self._coming = bytearray()
        self._waiting: deque[_Frame] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._count = self._dropped = 0
        self._answered: deque[float] = deque([perf_counter()], maxlen=RECENT + 1)
        self._since = server.now

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)
        self._answering = asyncio.get_running_loop().create_task(self._answer())
        self._understood(self._begin)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._answering.cancel()
        self._server.gone(self)

    def data_received(self, data: bytes) -> None:
        self._since = self._server.now
        self._understood(partial(self._socket.receive_data, data))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # what comes in

    def _begin(self) -> None:
        headers = list(self._request.headers.items())
        self._socket.initiate_upgrade_connection(headers, self._request.target)

    def _understood(self, read: Callable[[], None]) -> None:
        """Read, and take the events that this leads to."""
        try:
            read()
            for event in self._socket.events():
                self._take(event)
        except RemoteProtocolError as error:
            if isinstance(error.event_hint, RejectConnection):
                self._refuse(error.event_hint, str(error))
            elif error.event_hint:
                self._send(error.event_hint)
            self._transport.close()

    def _refuse(self, refusal: RejectConnection, why: str) -> None:
        """Of a handshake, with the reason as all errors have it."""
        body = msgspec.json.encode({"error": f"the WebSocket cannot begin: {why}"})
        kind = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self._send(replace(refusal, headers=[*refusal.headers, *kind], has_body=True))
        self._send(RejectData(data=body))

    def _take(self, event: Event) -> None:
        match event:
            case Asked():
                self._send(AcceptConnection())
            case BytesMessage():
                self._collect(event)
            case TextMessage():
                told = "send each frame as a binary message, a PNG or JPEG file"
                self._close(CloseReason.UNSUPPORTED_DATA, told)
            case Ping():
                self._send(event.response())
            case CloseConnection():
                self._send(event.response())
                self._transport.close()

    def _collect(self, message: BytesMessage) -> None:
        self._coming += message.data
        if len(self._coming) > self._largest:
            self._close(CloseReason.MESSAGE_TOO_BIG, f"a frame has {self._largest} bytes at most")
        elif message.message_finished:
            self._waiting.append(_Frame(self._count, bytes(self._coming), perf_counter()))
            self._count += 1
            self._coming.clear()
            if len(self._waiting) > WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._arrived.set()

    # what goes out

    async def _answer(self) -> None:
        """The frames that wait, one after the other, as fast as the client reads."""
        while True:
            await self._arrived.wait()
            await self._writable.wait()
            frame = self._waiting.popleft()
            if not self._waiting:
                self._arrived.clear()
            found = await self._found(frame.content)
            self._send(TextMessage(msgspec.json.encode(self._seen(frame, found)).decode()))

    async def _found(self, content: bytes) -> dict[str, Any]:
        try:
            return {"prediction": await self._look(content)}
        except (ServingError, BadInput) as error:
            return {"error": str(error)}
        except Exception:
            log.exception("a frame failed")
            return {"error": "internal error: the server's log says more"}

    def _seen(self, frame: _Frame, found: dict[str, Any]) -> Seen:
        now = perf_counter()
        self._answered.append(now)
        rate = (len(self._answered) - 1) / max(now - self._answered[0], 1e-6)
        lag = now - frame.came
        return Seen(
            frame=frame.number,
            **found,
            frames_per_second=round(rate, 2),
            lag_seconds=round(lag, 4),
            dropped=self._dropped,
        )

    def _send(self, event: Event) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._socket.send(event))

    def _close(self, reason: CloseReason, told: str) -> None:
        self._send(CloseConnection(code=reason, reason=told))
        self._transport.close()

    # how it ends

    def finish(self) -> None:
        """Say that the server goes."""
        self._close(CloseReason.GOING_AWAY, "the server ends")

    def abort(self) -> None:
        self._transport.abort()

    def check_silence(self) -> None:
        """Close where the client has been silent for too long."""
        if self._server.now - self._since > IDLE_S:
            self._close(CloseReason.GOING_AWAY, f"no frame came for {IDLE_S:g} s")

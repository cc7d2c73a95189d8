"""Frames in, what is seen in them out, over a WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from vaka.artifacts.errors import BadInput
from vaka.models.pipeline import Pipeline
from vaka.serving.http import HttpServer
from vaka.serving.messages import Response
from vaka.serving.video import video


class Metrics:
    def __init__(self) -> None:
        self.codes: list[str] = []

    def begin(self) -> None: ...

    def end(self, protocol: str, code: str, seconds: float) -> None:  # noqa: ARG002
        self.codes.append(f"{protocol} {code}")


class Echo:
    """Stands for a model: its prediction is the frame itself, once `free` is set."""

    frames = True

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.model = SimpleNamespace(predictor=SimpleNamespace(pipeline=self))
        self.source = SimpleNamespace(name="m")

    def instances(self, given: list[bytes], where: str) -> dict[str, Any]:
        if given[0] == b"broken":
            raise BadInput(f"{where}[0]: this is neither PNG nor JPEG")
        return {"image": given}

    async def infer(self, inputs: dict[str, Any]) -> dict[str, Any]:
        await self.free.wait()
        return inputs

    def predictions(self, outputs: dict[str, Any]) -> list[str]:
        return [one.decode() for one in outputs["image"]]


class Client:
    """One end of a WebSocket, by the same library as the server's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.socket = WSConnection(ConnectionType.CLIENT)
        self.events: list[Any] = []

    def send(self, event: Any) -> None:
        self.writer.write(self.socket.send(event))

    async def next(self) -> Any:
        while not self.events:
            data = await asyncio.wait_for(self.reader.read(1 << 16), 5)
            self.socket.receive_data(data or None)
            self.events += list(self.socket.events())
        return self.events.pop(0)

    async def told(self) -> dict[str, Any]:
        event = await self.next()
        assert isinstance(event, TextMessage), event
        told: dict[str, Any] = json.loads(event.data)
        return told


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def connect(echo: Echo, metrics: Metrics, listening: Any) -> AsyncIterator[Callable[[], Any]]:
    """Opens WebSockets to a server of the echo."""

    async def app(request: Any) -> Response:
        if request.path == "/plain":
            return Response(b"{}", 404)
        return video(echo, request, metrics, largest=1000)  # type: ignore[arg-type]

    server = HttpServer(app, lambda status, _: Response(b"{}", status), max_body=1000)
    clients: list[Client] = []
    async with listening(server) as port:

        async def open_one(path: str = "/video") -> Client:
            client = Client(*await asyncio.open_connection("127.0.0.1", port))
            clients.append(client)
            client.send(Request(host="here", target=path))
            return client

        open_one.server = server  # type: ignore[attr-defined]
        yield open_one
        for client in clients:
            client.writer.close()
            await client.writer.wait_closed()


async def test_each_frame_is_answered_with_what_is_seen_and_how_fast(connect: Any, metrics: Metrics) -> None:
    client = await connect()
    assert isinstance(await client.next(), AcceptConnection)
    for number, word in enumerate(["one", "two"]):
        client.send(BytesMessage(data=word.encode()))
        told = await client.told()
        assert (told["frame"], told["prediction"], told["dropped"]) == (number, word, 0)
        assert told["framesPerSecond"] > 0
        assert 0 <= told["lagSeconds"] < 5
    assert metrics.codes == ["video 200", "video 200"]


async def test_the_oldest_frames_are_dropped_when_it_falls_behind(connect: Any, echo: Echo) -> None:
    client = await connect()
    await client.next()
    echo.free.clear()
    client.send(BytesMessage(data=b"0"))
    await asyncio.sleep(0.05)
    for number in range(1, 10):
        client.send(BytesMessage(data=str(number).encode()))
    await asyncio.sleep(0.05)
    echo.free.set()
    told = [await client.told() for _ in range(3)]
    assert [one["frame"] for one in told] == [0, 8, 9]
    assert told[-1]["dropped"] == 7


async def test_a_frame_that_is_no_picture_is_told_and_the_next_one_looked_at(
    connect: Any, metrics: Metrics
) -> None:
    client = await connect()
    await client.next()
    client.send(BytesMessage(data=b"broken"))
    assert (await client.told())["error"] == "frames[0]: this is neither PNG nor JPEG"
    client.send(BytesMessage(data=b"whole"))
    assert (await client.told())["prediction"] == "whole"
    assert metrics.codes == ["video 400", "video 200"]


async def test_a_frame_may_come_in_pieces_and_with_pings_between(connect: Any) -> None:
    client = await connect()
    await client.next()
    client.send(BytesMessage(data=b"half ", message_finished=False))
    client.send(Ping(b"?"))
    client.send(BytesMessage(data=b"and half"))
    assert isinstance(await client.next(), Pong)
    assert (await client.told())["prediction"] == "half and half"


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (TextMessage(data="hello"), 1003, "send each frame as a binary message, a PNG or JPEG file"),
        (BytesMessage(data=bytes(1001)), 1009, "a frame has 1000 bytes at most"),
    ],
)
async def test_what_is_no_frame_ends_it_with_a_reason(
    connect: Any, message: Message, code: int, reason: str
) -> None:
    client = await connect()
    await client.next()
    client.send(message)
    closed = await client.next()
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (code, reason)


async def test_a_refusal_is_an_answer_like_any_other_and_the_connection_goes_on(connect: Any) -> None:
    client = await connect("/plain")
    refused = await client.next()
    assert isinstance(refused, RejectConnection)
    assert refused.status_code == 404
    client.writer.write(b"GET /plain HTTP/1.1\r\nhost: here\r\n\r\n")
    assert b"404" in await client.reader.read(1000)


@pytest.mark.parametrize(
    ("frames", "status", "complaint"),
    [
        (False, 400, "model 'm' takes no video: its input is no picture"),
        (True, 426, "video is sent over a WebSocket: connect with ws:// or wss://"),
    ],
)
async def test_where_there_is_no_video_the_answer_says_why(
    serve: Any,
    models: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    frames: bool,
    status: int,
    complaint: str,
) -> None:
    monkeypatch.setattr(Pipeline, "frames", frames)
    client = await serve(models.brightness(tmp_path / "model"))
    refused = await client.get("/v1/models/m/video")
    assert refused.status_code == status
    assert refused.json() == {"error": complaint}


@pytest.mark.parametrize(
    ("version", "status", "missing"), [("13", 400, "Sec-WebSocket-Key"), ("8", 426, "Sec-WebSocket-Version")]
)
async def test_a_handshake_that_is_none_is_told_why(
    serve: Any,
    models: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    status: int,
    missing: str,
) -> None:
    monkeypatch.setattr(Pipeline, "frames", True)
    client = await serve(models.brightness(tmp_path / "model"))
    asked = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": version}
    refused = await client.get("/v1/models/m/video", headers=asked)
    assert refused.status_code == status
    assert refused.json() == {"error": f"the WebSocket cannot begin: Missing header, '{missing}'"}


async def test_a_server_that_ends_says_so(connect: Any) -> None:
    client = await connect()
    await client.next()
    closing = asyncio.create_task(connect.server.close(1))
    closed = await client.next()
    assert isinstance(closed, CloseConnection)
    assert closed.reason == "the server ends"
    await closing

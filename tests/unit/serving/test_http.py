"""HTTP/1.1 as bytes on a socket."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.serving.connection import MAX_HEAD
from vaka.serving.http import HttpServer
from vaka.serving.messages import Response


async def echo(request):
    """What was asked, as JSON; /wait waits for the event of that name, /fail fails."""
    if request.path == "/fail":
        raise ZeroDivisionError
    if request.path == "/wait":
        await echo.waiting.wait()
    told = {"method": request.method, "path": request.path, "body": request.body.decode("latin-1")}
    return Response(json.dumps(told).encode())


def refuse(status, message):
    return Response(json.dumps({"error": message}).encode(), status)


@pytest.fixture
async def server(listening):
    echo.waiting = asyncio.Event()
    server = HttpServer(echo, refuse, max_body=100)
    async with listening(server) as server.port:
        yield server
        echo.waiting.set()


@pytest.fixture
async def connect(server):
    """Opens connections to the server."""
    writers = []

    async def open_one():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()


async def answer(reader):
    """Status, headers and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, json.loads(body) if body else None


async def test_a_connection_answers_one_request_after_the_other(connect):
    reader, writer = await connect()
    for n in range(3):
        writer.write(b"GET /%d?a=b HTTP/1.1\r\n\r\n" % n)
        status, headers, body = await answer(reader)
        assert (status, body["path"], headers["content-type"]) == (200, f"/{n}", "application/json")
        assert headers["date"].endswith("GMT")


async def test_pipelined_requests_are_answered_in_order(connect):
    reader, writer = await connect()
    writer.write(b"".join(b"POST /%d HTTP/1.1\r\nContent-Length: 1\r\n\r\nx" % n for n in range(50)))
    assert [(await answer(reader))[2]["path"] for _ in range(50)] == [f"/{n}" for n in range(50)]


@given(st.lists(st.integers(0, 120), max_size=6), st.binary(max_size=60))
def test_however_the_bytes_are_cut_the_request_is_the_same(listening, cuts, body):
    async def run():
        async with listening(HttpServer(echo, refuse, max_body=100)) as port:
            return await answered(*await asyncio.open_connection("127.0.0.1", port))

    async def answered(reader, writer):
        sent = b"POST /a%%20b HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        ends = sorted(min(cut, len(sent)) for cut in cuts)
        for start, end in zip([0, *ends], [*ends, len(sent)], strict=True):
            writer.write(sent[start:end])
            await writer.drain()
            await asyncio.sleep(0)
        found = await answer(reader)
        writer.close()
        return found

    told = {"method": "POST", "path": "/a b", "body": body.decode("latin-1")}
    assert asyncio.run(run())[2] == told


async def test_a_chunked_body_is_read_whole(connect):
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert (await answer(reader))[2]["body"] == "abc"


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
async def test_who_wants_it_closed_gets_it_closed(connect, head):
    reader, writer = await connect()
    writer.write(head)
    assert (await answer(reader))[1]["connection"] == "close"
    assert await reader.read() == b""


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"this is no HTTP\r\n\r\n", 400, "no HTTP/1.1"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "no HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD + b"\r\n", 431, f"larger than {MAX_HEAD} bytes"),
        (b"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", 413, "larger than the 100 bytes"),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"a" * 101,
            413,
            "larger than the 100 bytes",
        ),
    ],
    ids=["garbage", "two-lengths", "long-head", "long-body", "long-chunked-body"],
)
async def test_what_cannot_be_read_is_refused_and_the_connection_closed(connect, sent, status, said):
    reader, writer = await connect()
    writer.write(sent)
    found, headers, body = await answer(reader)
    assert (found, headers["connection"]) == (status, "close")
    assert said in body["error"]
    assert await reader.read() == b""


async def test_a_body_is_asked_for_where_the_client_waits_for_that(connect):
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ab")
    assert (await answer(reader))[2]["body"] == "ab"


async def test_an_upgrade_is_not_taken_and_the_connection_goes_on(connect):
    reader, writer = await connect()
    upgrade = b"POST /%d HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx"
    writer.write(upgrade % 1 + upgrade % 2)
    assert [(await answer(reader))[2]["path"] for _ in range(2)] == ["/1", "/2"]


async def test_an_error_of_the_application_is_a_500_and_the_connection_goes_on(connect, caplog):
    reader, writer = await connect()
    writer.write(b"GET /fail HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    status, _, body = await answer(reader)
    assert (status, body["error"]) == (500, "internal error: the server's log says more")
    assert "ZeroDivisionError" in caplog.text
    assert (await answer(reader))[0] == 200


async def test_an_application_is_cancelled_when_its_client_has_gone(server, connect):
    _, writer = await connect()
    writer.write(b"GET /wait HTTP/1.1\r\n\r\n")
    while not server.connections:
        await asyncio.sleep(0.001)
    writer.close()
    while server.connections:
        await asyncio.sleep(0.001)


async def test_closing_ends_idle_connections_and_answers_the_others(server, connect):
    idle, _ = await connect()
    busy, busy_writer = await connect()
    half, half_writer = await connect()
    busy_writer.write(b"GET /wait HTTP/1.1\r\n\r\n")
    half_writer.write(b"POST /half HTTP/1.1\r\nContent-Length: 2\r\n\r\na")
    while len(server.connections) < 3:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    closing = asyncio.ensure_future(server.close(10))
    assert await idle.read() == b""
    half_writer.write(b"b")
    echo.waiting.set()
    for reader in (busy, half):
        status, headers, _ = await answer(reader)
        assert (status, headers["connection"]) == (200, "close")
    await closing


async def test_a_silent_client_is_closed(server, connect):
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na")
    while not [one for one in server.connections if one._receiving]:
        await asyncio.sleep(0.001)
    (connection,) = server.connections
    connection._since -= 3600
    assert await reader.read() == b""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from vaka.devcluster.isolation import forward
from vaka.devcluster.spec import ClusterSpec


@contextlib.asynccontextmanager
async def forwarding(port: int) -> AsyncIterator[int]:
    """The port that connections to ``port`` go through."""
    listener = socket.create_server(("127.0.0.1", 0))
    spec = ClusterSpec(name="test", bare=True, port=port)
    task = asyncio.create_task(forward(listener, spec))
    yield listener.getsockname()[1]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_both_directions_and_the_end_of_each_pass_through() -> None:
    async def answer_when_all_is_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])
        writer.close()

    server = await asyncio.start_server(answer_when_all_is_read, "127.0.0.1", 0)
    async with server, forwarding(server.sockets[0].getsockname()[1]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = bytes(range(256)) * 4096
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == sent[::-1]
        writer.close()


async def test_a_server_that_is_not_up_yet_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with forwarding(port) as through:
        reader, writer = await asyncio.open_connection("127.0.0.1", through)
        assert await reader.read() == b""
        writer.close()

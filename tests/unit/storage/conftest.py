import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def cutting(gateway: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Puts a network before the S3 server that cuts each of the next 30 connections after so many bytes."""
    port = int(gateway[0].rpartition(":")[2])
    listener = socket.create_server(("127.0.0.1", 0))
    left = 30

    def relay(client: socket.socket, limit: int) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            up = threading.Thread(target=_copy, args=(client, server, 10**12))
            up.start()
            _copy(server, client, limit)
            up.join()

    def accept(limit: int) -> None:
        nonlocal left
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            left -= 1
            threading.Thread(target=relay, args=(client, limit if left >= 0 else 10**12)).start()

    def start(limit: int) -> None:
        threading.Thread(target=accept, args=(limit,)).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _copy(source: socket.socket, target: socket.socket, limit: int) -> None:
    """Copy up to so many bytes, and cut both ends then."""
    with contextlib.suppress(OSError):
        while limit > 0 and (data := source.recv(min(limit, 65536))):
            target.sendall(data)
            limit -= len(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

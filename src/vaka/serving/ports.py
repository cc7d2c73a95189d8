"""The server's ports: taken once, so that another server on one of them is an error and does not share it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

BACKLOG = 2048
"""Connections that may wait to be accepted."""


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at the port and does not block; 0 is any free port.

    OSError if it cannot be had.
    """
    with _bound(host, port) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # its connections have it, too
        listener.setblocking(False)
        listener.listen(BACKLOG)
        yield listener


@contextmanager
def reserved(host: str, port: int | None) -> Iterator[int | None]:
    """The port, taken from anyone else and open to the processes of this server; 0 is any free one.

    OSError if it cannot be had.
    """
    if port is None:
        yield None
        return
    with _bound(host, port) as reservation:
        # Only now, so that another server on this port is an error and does not share it unseen.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield port_of(reservation)


def port_of(bound: socket.socket) -> int:
    """Where it is bound to."""
    return int(bound.getsockname()[1])


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return bound

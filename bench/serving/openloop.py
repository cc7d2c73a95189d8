"""An open loop: requests are sent at times that were fixed before, however long the answers take.

A closed loop (wrk) asks less while the server is slow, and so hides the waits that people see. Times count
from when a request should have been sent. One thread, whose waits end to the microsecond: event loops and
epoll round theirs to milliseconds.
"""

import ctypes
import select
import socket
import time
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from bodies import Protocol, images
from numpy.typing import NDArray
from processes import HOST

Seconds: TypeAlias = NDArray[np.float64]
PR_SET_TIMERSLACK = 29
STUCK_S = 30.0
ANSWER = 4096
"""Bytes: more than an answer has."""


def even(rate: float, seconds: float) -> Seconds:
    """When requests are due that come at equal distances."""
    return np.arange(int(rate * seconds)) / rate


def poisson(rate: float, seconds: float) -> Seconds:
    """When requests are due of many people who do not know of each other."""
    return np.cumsum(np.random.default_rng(11).exponential(1 / rate, int(rate * seconds)))


def at_once(count: int) -> Seconds:
    """As soon as a connection is free: what can be answered at most, with what this generator costs."""
    return np.zeros(count)


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Of all requests."""

    seconds: Seconds
    """From when it was due to the end of its answer."""
    lateness: float
    """99th percentile of how late requests were sent."""
    rate: float
    """Answers a second."""

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))


def load(port: int, path: str, protocol: Protocol, due: Seconds, *, connections: int) -> Latencies:
    """Ask at these times; SystemExit where anything but 200 is answered."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)  # nanoseconds; 50,000 are usual
    bodies = [protocol.body(image) for image in images()]
    fields = {"host": HOST, "content-length": str(len(bodies[0]))} | protocol.headers
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    loop = _Loop(port, connections, "\r\n".join(lines).encode(), bodies, due, protocol)
    try:
        return loop.run()
    finally:
        loop.close()


class _Loop:
    def __init__(
        self,
        port: int,
        connections: int,
        head: bytes,
        bodies: list[bytes],
        due: Seconds,
        protocol: Protocol,
    ) -> None:
        self._head = head
        self._bodies = bodies
        self._protocol = protocol
        self._free = deque(socket.create_connection((HOST, port)) for _ in range(connections))
        self._all = {one.fileno(): one for one in self._free}
        self._poll = select.epoll()
        for number, one in self._all.items():
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(number, select.EPOLLIN)
        self._begin = time.perf_counter() + 0.1
        self._due = (due + self._begin).tolist()
        self._asked: dict[socket.socket, float] = {}
        """When the request was due that a connection waits for."""
        self._took: list[float] = []
        self._late: list[float] = []

    def run(self) -> Latencies:
        sent, due, count = 0, self._due, len(self._due)
        while len(self._took) < count:
            now = time.perf_counter()
            while sent < count and due[sent] <= now and self._free:
                self._send(sent)
                sent += 1
            more = sent < count and self._free
            self._receive(max(0.0, due[sent] - time.perf_counter()) if more else STUCK_S)
        return Latencies(
            seconds=np.array(self._took),
            lateness=float(np.percentile(self._late, 99)),
            rate=count / (time.perf_counter() - self._begin),
        )

    def close(self) -> None:
        self._poll.close()
        for one in self._all.values():
            one.close()

    def _send(self, number: int) -> None:
        connection, due = self._free.popleft(), self._due[number]
        body = self._bodies[number % len(self._bodies)]
        at, end = self._protocol.head, self._protocol.head + self._protocol.hole
        pixel = f"0.{number // len(self._bodies):04d}".encode()
        self._asked[connection] = due
        self._late.append(time.perf_counter() - due)
        connection.sendall(b"".join([self._head, body[:at], pixel, body[end:]]))

    def _receive(self, wait: float) -> None:
        ready, _, _ = select.select([self._poll], [], [], wait)
        if not ready and wait == STUCK_S:
            raise SystemExit(f"no answer for {STUCK_S:.0f} s")
        for number, _ in self._poll.poll(0) if ready else ():
            connection = self._all[number]
            answer = connection.recv(ANSWER)
            if not answer.startswith(b"HTTP/1.1 200") or not _is_whole(answer):
                raise SystemExit(f"not 200, or not in one piece: {answer[:500]!r}")
            self._took.append(time.perf_counter() - self._asked.pop(connection))
            self._free.append(connection)


def _is_whole(answer: bytes) -> bool:
    """An answer is so small that it comes in one piece."""
    head, _, body = answer.partition(b"\r\n\r\n")
    _, _, size = head.lower().partition(b"content-length: ")
    return len(body) == int(size.partition(b"\r\n")[0])

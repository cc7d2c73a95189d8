"""An open loop: requests are sent at times that were fixed before, however long the answers take.

A closed loop (wrk) asks less while the server is slow, and so hides the waits that people see. Times count
from when a request should have been sent. One thread with select, since event loops round their timers to
milliseconds.
"""

import ctypes
import select
import socket
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from bodies import Protocol, images
from numpy.typing import NDArray
from processes import HOST

ARRIVALS = ("even", "poisson")
PR_SET_TIMERSLACK = 29
STUCK_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Seconds from when a request was due to the end of its answer."""

    seconds: NDArray[np.float64]
    lateness: float
    """99th percentile of how late requests were sent."""

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))


def load(
    port: int,
    path: str,
    protocol: Protocol,
    *,
    rate: float,
    connections: int,
    seconds: float,
    arrivals: str,
) -> Latencies:
    """Ask at this rate; SystemExit where anything but 200 is answered.

    Args:
        arrivals: "even", or "poisson" as from many people who do not know of each other.
    """
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)  # nanoseconds; 50,000 are usual
    count = int(rate * seconds)
    chance = np.random.default_rng(11)
    gaps = chance.exponential(1 / rate, count) if arrivals == "poisson" else np.full(count, 1 / rate)
    bodies = [protocol.body(image) for image in images()]
    fields = {"host": HOST, "content-length": str(len(bodies[0]))} | protocol.headers
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    head = "\r\n".join(lines).encode()
    loop = _Loop(port, connections, head, bodies, np.cumsum(gaps), protocol)
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
        due: NDArray[np.float64],
        protocol: Protocol,
    ) -> None:
        self._head = head
        self._bodies = bodies
        self._due = (due + time.perf_counter() + 0.1).tolist()
        self._protocol = protocol
        self._free = deque(socket.create_connection((HOST, port)) for _ in range(connections))
        self._all = list(self._free)
        for one in self._all:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
        return Latencies(seconds=np.array(self._took), lateness=float(np.percentile(self._late, 99)))

    def close(self) -> None:
        for one in self._all:
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
        ready, _, _ = select.select(list(self._asked), [], [], wait)
        if not ready and wait == STUCK_S:
            raise SystemExit(f"no answer for {STUCK_S:.0f} s")
        for connection in ready:
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200") or not _is_whole(answer):
                raise SystemExit(f"not 200, or not in one piece: {answer[:500]!r}")
            self._took.append(time.perf_counter() - self._asked.pop(connection))
            self._free.append(connection)


def _is_whole(answer: bytes) -> bool:
    """An answer is so small that it comes in one piece."""
    head, _, body = answer.partition(b"\r\n\r\n")
    _, _, size = head.lower().partition(b"content-length: ")
    return len(body) == int(size.partition(b"\r\n")[0])

"""The server's processes: one for each processor, each with a listening socket of its own on the same port.

The kernel spreads connections over the sockets (SO_REUSEPORT); on one shared socket a process can starve.
This one only keeps the others running: it imports nothing heavy, so that it costs little memory.
"""

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

MIN_LIFE_S = 5.0
"""A process that ends sooner is started again only after a pause."""
PAUSE_S = 1.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one of the processes is told: its number, and the pipes to and from the first one."""

    number: int
    alive: int
    """Readable, with nothing to read, when the first process has ended."""
    up: int
    """To be written to once it listens."""


Work = Callable[[Place], None]
"""Serves until SIGTERM or SIGINT, in a process of its own."""


class Fleet:
    """Runs `work` in several processes until they are told to stop.

    Args:
        forget: called with the number of a process that has ended.
        listening: called once all of them listen for the first time.
    """

    def __init__(
        self, work: Work, *, size: int, forget: Callable[[int], None], listening: Callable[[], None]
    ) -> None:
        self._work = work
        self._size = size
        self._forget = forget
        self._listening = listening
        self._numbers: dict[int, int] = {}
        self._born: dict[int, float] = {}
        self._stopping = False

    def run(self) -> int:
        """The exit status: 0 where all ended as they were told, 1 where one could not even begin."""
        self._alive = os.pipe()
        self._up = os.pipe()
        before = {one: signal.signal(one, self._pass_on) for one in SIGNALS}
        try:
            for number in range(self._size):
                self._start(number)
            return self._watch()
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
            for end in (*self._alive, *self._up):
                os.close(end)

    def _start(self, number: int) -> None:
        """Start a process, unless told to stop; no signal may come before it is known to be there."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self._stopping:
                return
            pid = os.fork()
            if pid == 0:
                self._be(number)
            self._numbers[pid] = number
            self._born[pid] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _be(self, number: int) -> None:
        """The life of another process: nothing of this one's is run after it."""
        code = 1
        try:
            os.close(self._alive[1])
            for one in SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._work(Place(number=number, alive=self._alive[0], up=self._up[1]))
            code = 0
        except Exception:
            log.exception("a server process fails")
        finally:
            logging.shutdown()
            os._exit(code)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._stopping = True
        for pid in self._numbers:
            os.kill(pid, number)

    def _watch(self) -> int:
        if not self._await_listening():
            return self._end()
        self._listening()
        while self._numbers:
            pid, status = os.wait()
            self._ended(pid, os.waitstatus_to_exitcode(status))
        return 0

    def _await_listening(self) -> bool:
        """Whether all listen; not where one ends before that."""
        heard = 0
        while heard < self._size:
            if select.select([self._up[0]], [], [], 0.1)[0]:
                heard += len(os.read(self._up[0], self._size))
            for pid in list(self._numbers):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self._forget(self._numbers.pop(pid))
                    return False
        return True

    def _end(self) -> int:
        for pid in self._numbers:
            os.kill(pid, signal.SIGINT)
        for pid in self._numbers:
            os.waitpid(pid, 0)
        return 0 if self._stopping else 1

    def _ended(self, pid: int, code: int) -> None:
        number = self._numbers.pop(pid)
        self._forget(number)
        if self._stopping:
            return
        log.error("a server process ended with %d: another one takes its place", code)
        if time.monotonic() - self._born.pop(pid) < MIN_LIFE_S:
            time.sleep(PAUSE_S)
        self._start(number)


@contextmanager
def reserved(host: str, *ports: int | None) -> Iterator[list[int | None]]:
    """The ports, taken from anyone else and open to the processes of this server; 0 is any free one.

    OSError if a port cannot be had.
    """
    with ExitStack() as stack:
        yield [None if port is None else stack.enter_context(_reserved(host, port)) for port in ports]


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reservation.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
        # Only now, so that another server on this port is an error and does not share it unseen.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield int(reservation.getsockname()[1])

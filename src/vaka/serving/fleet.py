"""The server's processes: one for each processor, and this first one, which gives them the connections.

Left to the kernel (SO_REUSEPORT) connections are spread by chance: of two processes one has often twice as
much to do as the other, and two connections meet in one process half of the time. So this one accepts them,
and hands each to the process that has the fewest. It keeps the others running, and imports nothing heavy, so
that it costs little memory.
"""

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from vaka.serving.handover import ENOUGH, TAKES, give

MIN_LIFE_S = 5.0
"""A process that ends sooner is started again only after a pause."""
PAUSE_S = 1.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)
BURST = 64
"""Connections that are accepted before anything else is looked at."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one of the processes is told: its number, and its end of the channel to the first one."""

    number: int
    channel: socket.socket
    again: bool
    """Whether it takes the place of one that has ended."""


Work = Callable[[Place], None]
"""Serves until SIGTERM or SIGINT, in a process of its own."""


@dataclass(kw_only=True)
class _Worker:
    """One of the processes, as the first one sees it."""

    number: int
    pid: int
    channel: socket.socket
    born: float
    takes: bool = False
    """Whether it takes connections now."""
    given: int = 0
    """How many it was given."""


class Fleet:
    """Runs `work` in several processes until they are told to stop.

    Args:
        listener: where connections come in.
        ended: how many connections of the process of this number have ended.
        forget: called with the number of a process that has ended.
        listening: called once all of them take connections for the first time.
    """

    def __init__(
        self,
        work: Work,
        *,
        size: int,
        listener: socket.socket,
        ended: Callable[[int], int],
        forget: Callable[[int], None],
        listening: Callable[[], None],
    ) -> None:
        self._work = work
        self._size = size
        self._listener = listener
        self._count_ended = ended
        self._forget = forget
        self._listening = listening
        self._workers: dict[int, _Worker] = {}
        self._due: dict[int, float] = {}
        """When those that take the place of ended processes are started, by number."""
        self._selector = selectors.DefaultSelector()
        self._accepting = False
        self._begun = False
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """The exit status: 0 where all ended as they were told, 1 where one could not even begin."""
        before = {one: signal.signal(one, self._pass_on) for one in SIGNALS}
        try:
            for number in range(self._size):
                self._start(number)
            while self._workers or self._due:
                self._turn()
            return self._code
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
            self._selector.close()

    def _turn(self) -> None:
        now = time.monotonic()
        for number in [number for number, when in self._due.items() if when <= now]:
            del self._due[number]
            self._start(number)
        wait = max(0.0, min(self._due.values()) - now) if self._due else None
        for key, _ in self._selector.select(wait):
            key.data()

    def _start(self, number: int) -> None:
        """Start a process, unless told to stop; no signal may come before it is known to be there."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self._stopping:
                return
            own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
            if pid == 0:
                own.close()
                self._be(Place(number=number, channel=other, again=self._begun))
            other.close()
            worker = _Worker(number=number, pid=pid, channel=own, born=time.monotonic())
            self._workers[number] = worker
            self._selector.register(own, selectors.EVENT_READ, lambda: self._hear(worker))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _be(self, place: Place) -> None:
        """The life of another process: nothing of this one's is run after it."""
        code = 1
        try:
            # A process knows by its channel that the first one has ended, if no other holds that one's end.
            for worker in self._workers.values():
                worker.channel.close()
            self._listener.close()
            self._selector.close()
            for one in SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._work(place)
            code = 0
        except Exception:
            log.exception("a server process fails")
        finally:
            logging.shutdown()
            os._exit(code)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._stopping = True
        self._due.clear()
        for worker in self._workers.values():
            os.kill(worker.pid, number)

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.channel.recv(1)
        except ConnectionError:  # it ended before it took all that it was given
            said = b""
        worker.takes = said == TAKES
        if said not in (TAKES, ENOUGH):
            self._gone(worker)
        if not self._begun and sum(one.takes for one in self._workers.values()) == self._size:
            self._begun = True
            self._listening()
        self._attend()

    def _attend(self) -> None:
        """Accept connections as long as someone takes them, and none at all where nobody will again.

        At first they wait for all processes, as a server is ready only when each of them is.
        """
        takes = self._begun and any(worker.takes for worker in self._workers.values())
        if takes and not self._accepting:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        if self._accepting and not takes:
            self._selector.unregister(self._listener)
        self._accepting = takes
        if self._stopping and not takes:
            self._listener.close()

    def _accept(self) -> None:
        if not self._accepting:  # the last who took them said in this very turn that it takes no more
            return
        for _ in range(BURST):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # all are accepted, or it has gone already
                return
            with connection:
                self._give(connection)

    def _give(self, connection: socket.socket) -> None:
        """Hand it to the process that has the fewest; nobody can have it where all are about to end."""
        takers = [worker for worker in self._workers.values() if worker.takes]
        takers.sort(key=lambda worker: worker.given - self._count_ended(worker.number))
        for wait in (False, True):
            for worker in takers:
                if give(worker.channel, connection, wait=wait):
                    worker.given += 1
                    return

    def _gone(self, worker: _Worker) -> None:
        self._selector.unregister(worker.channel)
        worker.channel.close()
        del self._workers[worker.number]  # first: no signal may go to a process that is reaped
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        self._forget(worker.number)
        if self._stopping:
            return
        if not self._begun:
            self._code = 1
            self._pass_on(signal.SIGINT, None)
            return
        log.error("a server process ended with %d: another one takes its place", code)
        soon = time.monotonic() - worker.born < MIN_LIFE_S
        self._due[worker.number] = time.monotonic() + (PAUSE_S if soon else 0.0)

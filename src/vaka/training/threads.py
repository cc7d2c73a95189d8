"""How many threads train: one for each processor, and fewer while other work keeps processors busy.

The threads of a step meet hundreds of times, and oneDNN's barriers spin until the last one is there, without
ever yielding. Where that one waits for a processor that the others spin on, a step takes up to sixty times as
long; with no more threads than processors that are free it takes what it should.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic

from vaka.api.reasons import Reason
from vaka.training.environment import THREADS_ENV
from vaka.training.report import Reporter

LOOK_SECONDS = 20.0
"""What comes and goes, such as a pod that starts, is to change nothing."""
TOO_MANY = 0.7
"""So many threads waiting for a processor, on average, slow the others more than they help."""
RETRY_SECONDS = 120.0
"""After so long more threads are tried, if processors idle; where that was too many, after twice as long."""


def waited_for_processors() -> float:
    """Seconds, of all threads that live; 0 where the kernel does not tell (its scheduler/sched-stats.rst)."""
    nanoseconds = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            nanoseconds += int(file.read_text().split()[1])
    return nanoseconds / 1e9


def idle_processors() -> float:
    """Seconds that those of this process have had nothing to do, whoever uses them (proc_stat(5))."""
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    return sum(int(line[4]) for line in lines if line[0] in own) / os.sysconf("SC_CLK_TCK")


class Threads:
    """Takes threads away while they wait for processors, and brings them back once processors idle.

    Args:
        most: threads to begin with.
        use: makes the next step use so many.
        say: is told what has changed and why.
        waited: seconds that all threads of this process have waited for a processor.
        idled: seconds that processors have had nothing to do.
    """

    def __init__(
        self,
        most: int,
        use: Callable[[int], None],
        say: Callable[[str], None],
        *,
        waited: Callable[[], float] = waited_for_processors,
        idled: Callable[[], float] = idle_processors,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most = self._number = most
        self._use = use
        self._say = say
        self._count: Callable[[], tuple[float, float]] = lambda: (waited(), idled())
        self._clock = clock
        self._pause = RETRY_SECONDS
        self._looked = clock()
        self._changed = -inf
        self._before = self._count()

    @classmethod
    def of(cls, reporter: Reporter) -> "Threads | None":
        """Those of torch, of which the reporter tells; none where the environment has fixed them."""
        import torch

        if THREADS_ENV in os.environ:
            return None
        say = partial(reporter.say, Reason.TRAINING)
        return cls(torch.get_num_threads(), torch.set_num_threads, say)

    def look(self) -> None:
        """Between two steps: change the number of threads, if it is time to look and there is a need."""
        now = self._clock()
        if self._most == 1 or now - self._looked < LOOK_SECONDS:
            return
        waiting, idle = self._rates(now)
        if waiting > TOO_MANY and self._number > 1:
            self._pause = 2 * self._pause if now - self._changed < self._pause else RETRY_SECONDS
            self._change(max(1, self._number - max(1, round(waiting))))
            fewer = f"{self._number} of {self._most} threads"
            self._say(f"training with {fewer}, for other work keeps the processors busy")
        elif self._number < self._most and round(idle) and now - self._changed > self._pause:
            self._change(min(self._most, self._number + round(idle)))
            number = "all" if self._number == self._most else f"{self._number} of"
            self._say(f"training with {number} {self._most} threads again")

    def _rates(self, now: float) -> tuple[float, float]:
        """Threads that waited and processors that idled since the last look, on average."""
        seconds, self._looked = now - self._looked, now
        before, self._before = self._before, self._count()
        waited, idled = (after - earlier for earlier, after in zip(before, self._before, strict=True))
        return waited / seconds, idled / seconds

    def _change(self, number: int) -> None:
        self._number, self._changed = number, self._looked
        self._use(number)

"""How many threads train: one for each processor, and fewer while other work keeps processors busy.

The threads of a step meet hundreds of times, and oneDNN's barriers spin until the last one is there, without
ever yielding. Where that one waits for a processor that the others spin on, a step takes up to sixty times as
long; with no more threads than processors that are free it takes what it should.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
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
"""After so long all threads are tried again; then after twice as long, and so on."""


def waited_for_processors() -> float:
    """Seconds, of all threads that live; 0 where the kernel does not tell (its scheduler/sched-stats.rst)."""
    nanoseconds = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            nanoseconds += int(file.read_text().split()[1])
    return nanoseconds / 1e9


class Threads:
    """Takes threads away while they wait for processors, and now and then tries all again.

    Args:
        most: threads to begin with.
        use: makes the next step use so many.
        say: is told what has changed and why.
        waited: seconds that all threads of this process have waited for a processor.
    """

    def __init__(
        self,
        most: int,
        use: Callable[[int], None],
        say: Callable[[str], None],
        *,
        waited: Callable[[], float] = waited_for_processors,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most = self._number = most
        self._use = use
        self._say = say
        self._waited = waited
        self._clock = clock
        self._pause = RETRY_SECONDS
        self._changed = self._looked = clock()
        self._before = self._waited()

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
        before, self._before = self._before, self._waited()
        waiting = (self._before - before) / (now - self._looked)
        self._looked = now
        if waiting > TOO_MANY and self._number > 1:
            self._change(max(1, self._number - max(1, round(waiting))))
            fewer = f"{self._number} of {self._most} threads"
            self._say(f"training with {fewer}, for other work keeps the processors busy")
        elif self._number < self._most and now - self._changed > self._pause:
            self._pause *= 2
            self._change(self._most)
            self._say(f"training with all {self._most} threads again")

    def _change(self, number: int) -> None:
        self._number, self._changed = number, self._looked
        self._use(number)

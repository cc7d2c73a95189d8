"""Waiting for what can come by itself."""

import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import TypeVar

from vaka import storage
from vaka.api.reasons import Reason
from vaka.training.report import Reporter

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between tries while something is missing; the last one repeats."""
_T = TypeVar("_T")


def patiently(
    work: Callable[[], _T],
    reporter: Reporter,
    *,
    missing: Reason = Reason.STORAGE_UNREACHABLE,
    pause: Callable[[float], None] = time.sleep,
) -> _T:
    """Do the work, again and again while what it needs is missing or out of reach, and say so meanwhile."""
    before = reporter.report
    for seconds in _pauses():
        try:
            result = work()
        except storage.NotFound as error:
            reporter.say(missing, str(error), waiting=True)
        except (storage.Unreachable, storage.Denied) as error:
            reporter.say(Reason.STORAGE_UNREACHABLE, str(error), waiting=True)
        else:
            break
        pause(seconds)
    reporter.say(Reason(before.reason), before.message)
    return result


def _pauses() -> Iterator[float]:
    return chain(PAUSES, repeat(PAUSES[-1]))

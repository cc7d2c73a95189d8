"""SIGTERM: when it breaks off, and when it waits for the step at hand."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM arrived. No `except Exception` on its way shall stop it."""


class Stop:
    """Raises Terminated at SIGTERM; inside `deferred` it is only noted, for there is something to finish."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    def install(self) -> None:
        """Handle SIGTERM of this process from now on."""
        signal.signal(signal.SIGTERM, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """What runs inside looks at `requested` by itself, and is not broken off."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def check(self) -> None:
        """Raise Terminated if it was asked for meanwhile."""
        if self.requested:
            raise Terminated

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if first and not self._deferred:  # once is enough: what follows shall not be broken off
            raise Terminated

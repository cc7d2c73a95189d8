"""A keyed work queue: wakes of one key coalesce, and one key is worked on by one worker at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

logger = logging.getLogger(__name__)


class Key(NamedTuple):
    """One object of one of the two kinds."""

    kind: str
    namespace: str
    name: str


Work = Callable[[Key], Awaitable[float | None]]
"""Handles a key and returns the seconds after which it shall be handled again, or None for never."""


class Queue:
    """Handles keys that were woken, with exponential backoff for those whose work raises.

    Args:
        work: handles one key.
        workers: how many keys may be handled at once.
        backoff: seconds before the first retry, and the most that doubling may lead to.
    """

    def __init__(self, work: Work, *, workers: int = 16, backoff: tuple[float, float] = (0.2, 30)) -> None:
        self._work = work
        self._workers = workers
        self._first, self._longest = backoff
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._active: set[Key] = set()
        self._woken_meanwhile: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    def __len__(self) -> int:
        """How many keys wait for a worker."""
        return len(self._queued)

    def wake(self, key: Key) -> None:
        """Have the key handled soon: once, however often it is woken before that."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._active:
            self._woken_meanwhile.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._worker())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._active.add(key)
            try:
                after = await self._attempt(key)
            finally:
                self._active.discard(key)
            self._again(key, after)

    async def _attempt(self, key: Key) -> float | None:
        try:
            after = await self._work(key)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            after = min(self._longest, self._first * 2 ** min(failures - 1, 30))
            logger.exception("%s %s/%s: tried again in %.1f s", *key, after)
        else:
            self._failures.pop(key, None)
        return after

    def _again(self, key: Key, after: float | None) -> None:
        if key in self._woken_meanwhile:
            self._woken_meanwhile.discard(key)
            self.wake(key)
        elif after is not None:
            self._timers[key] = asyncio.get_running_loop().call_later(after, self.wake, key)

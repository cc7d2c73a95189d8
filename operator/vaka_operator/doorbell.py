"""Listens at the routers of services that sleep, so that the first request wakes them at once.

A router cannot call the operator. Asking it is cheap; reconciling the service each time would not be.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from vaka_operator.queue import Key

logger = logging.getLogger(__name__)

EVERY_S = 0.25


class Doorbell:
    """Wakes a key as soon as somebody waits there.

    Args:
        wake: has a key reconciled.
    """

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._listening: dict[Key, asyncio.Task[None]] = {}

    def listen(self, key: Key, rings: Callable[[], Awaitable[bool]]) -> None:
        """Ask from now on whether somebody waits, instead of what was asked for this key before."""
        self.leave(key)
        self._listening[key] = asyncio.create_task(self._listen(key, rings))

    def leave(self, key: Key) -> None:
        """Ask no more."""
        if task := self._listening.pop(key, None):
            task.cancel()

    def close(self) -> None:
        for key in list(self._listening):
            self.leave(key)

    async def _listen(self, key: Key, rings: Callable[[], Awaitable[bool]]) -> None:
        while not await rings():
            await asyncio.sleep(EVERY_S)
        logger.info("%s %s/%s: a request waits for a pod", *key)
        self._wake(key)

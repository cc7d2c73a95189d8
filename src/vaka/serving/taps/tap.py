"""A place to which answered requests are passed on: never waited for, and dropped where it cannot keep up."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from uuid import uuid4

from vaka.artifacts.tensors import Array

WAITING = 256
"""Exchanges that may wait; more are dropped."""
FINISH_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request as the model saw it, by whatever protocol it came, and its answer."""

    model: str
    version: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    @cached_property
    def id(self) -> str:
        """Made only when it is asked for: most exchanges are never passed on."""
        return str(uuid4())


Count = Callable[[str], None]
"""Counts what became of an exchange."""


class Tap(ABC):
    """Takes a share of all exchanges, one after the other.

    Args:
        percent: how many of a hundred are taken, by chance.
        count: told of each what became of it, or that it was "dropped" or ended in an "error".
    """

    def __init__(self, *, percent: float, count: Count) -> None:
        self._share = percent / 100
        self._count = count
        self._waiting: asyncio.Queue[Exchange] = asyncio.Queue(WAITING)
        self._ended = asyncio.Event()
        self._ailing = False

    def offer(self, exchange: Exchange) -> None:
        """Take the exchange, or leave it; never blocks and never raises."""
        if self._share < 1 and random.random() >= self._share:
            return
        try:
            self._waiting.put_nowait(exchange)
        except asyncio.QueueFull:
            self._count("dropped")

    async def run(self) -> None:
        """Pass on until cancelled."""
        async with self:
            while True:
                exchanges = [await self._waiting.get(), *self._more()]
                await self._attempt(exchanges)
                for _ in exchanges:
                    self._waiting.task_done()

    async def finish(self) -> None:
        """Wait until what was taken is passed on, but not for ever."""
        self._ended.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self._waiting.join()

    async def ended(self, *, within: float) -> None:
        """Wait for so many seconds, or until there is an end to be made."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._ended.wait()

    async def _attempt(self, exchanges: list[Exchange]) -> None:
        try:
            for told in await self.take(exchanges):
                self._count(told)
            self._ailing = False
        except Exception as error:
            for _ in exchanges:
                self._count("error")
            if not self._ailing:  # once, for what ails may ail for long
                log.warning("%s fails: %s", self, error or type(error).__name__)
            self._ailing = True

    def _more(self) -> list[Exchange]:
        return [self._waiting.get_nowait() for _ in range(min(self._waiting.qsize(), self.together - 1))]

    together = 1
    """How many are taken at once, where they wait."""

    @abstractmethod
    async def take(self, exchanges: list[Exchange]) -> list[str]:
        """What became of each; whatever is raised counts as an error of all."""

    async def __aenter__(self) -> "Tap":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

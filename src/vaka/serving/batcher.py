"""Micro-batching: requests that wait for the model at the same time are computed together.

Nothing waits for company: what has come in while the model was busy, or in the same turn of the event loop,
is a batch, and where requests come one by one, each is computed at once. Only `max_latency` lets a batch wait
to be filled, and only while requests do come together.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vaka.artifacts.tensors import Array
from vaka.serving.errors import BadRequest, DeadlineExceeded, Overloaded

Arrays: TypeAlias = Mapping[str, Array]
Timed: TypeAlias = "tuple[list[dict[str, Array] | Exception], float, float]"
"""An answer for each, and the seconds that they took: by the clock, and of the processor."""
Run = Callable[[Arrays, Collection[str]], dict[str, Array]]
"""Checked inputs and names of outputs (none: all) to outputs, by name."""

Observe = Callable[[int, float, float], None]
"""Told of each batch: rows, seconds that the model took, seconds that the first request waited."""

INLINE_S = 0.005
"""Up to here the model runs on the event loop: to hand work to a thread and back costs more than it saves."""
LEARNING = 0.2
"""Weight of the newest batch in what is known of the model's speed."""


@dataclass(frozen=True, kw_only=True)
class BatchPolicy:
    """How requests are put together.

    Args:
        max_batch_size: rows that the model sees at once.
        max_latency: seconds that a batch may wait to be filled while requests come several at a time.
        max_queue: rows that may wait; more are refused at once.
        timeout: seconds after which an answer is of no use any more.
        concurrency: requests that may be in work at once, 0: any number; more are refused at once.
    """

    max_batch_size: int = 16
    max_latency: float = 0.0
    max_queue: int = 2048
    timeout: float = 60.0
    concurrency: int = 0


@dataclass(slots=True)
class _Item:
    inputs: Arrays
    outputs: tuple[str, ...]
    rows: int
    kind: object
    deadline: float
    since: float
    answer: asyncio.Future[dict[str, Array]]


class Batcher:
    """Runs one model, one batch at a time, for all who ask at the same time.

    Args:
        run: the model.
        batchable: whether rows of several requests may be computed together.
    """

    def __init__(self, run: Run, policy: BatchPolicy, *, batchable: bool, observe: Observe) -> None:
        self._run = run
        self._policy = policy
        self._batchable = batchable
        self._observe = observe
        self._queue: deque[_Item] = deque()
        self._rows = 0
        self._asking = 0
        self._scheduled = False
        self._filling: asyncio.TimerHandle | None = None
        """Runs out when a batch has waited for long enough to be filled."""
        self._came = 0
        """Requests since the model last had nothing to do."""
        self._together = False
        """Whether requests come several at a time."""
        self._batch_s = INLINE_S
        self._row_s = 0.0
        self._thread: Executor = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def infer(
        self, inputs: Arrays, outputs: Collection[str] = (), *, timeout: float | None = None
    ) -> dict[str, Array]:
        """The model's outputs for inputs that fit it.

        Raises:
            Overloaded: too much waits already, or it could not be answered in time.
            DeadlineExceeded: `timeout` seconds (default: the policy's) were over before the model was free.
            BadRequest: the model cannot compute these values.
        """
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        longest = self._policy.timeout
        seconds = longest if timeout is None else min(timeout, longest)
        rows, kind = self._sort(inputs)
        self._admit(rows, seconds)
        self._asking += 1
        answer: asyncio.Future[dict[str, Array]] = loop.create_future()
        self._queue.append(_Item(inputs, tuple(outputs), rows, kind, now + seconds, now, answer))
        self._rows += rows
        self._wake(loop)
        try:
            return await answer
        finally:
            self._asking -= 1

    def _sort(self, inputs: Arrays) -> tuple[int, object]:
        """How many rows the inputs have, and what others must be like to be computed together with them."""
        sizes = {len(array) for array in inputs.values()} if self._batchable else set()
        if len(sizes) != 1:
            return 1, object()
        return sizes.pop(), tuple([(name, a.dtype.char, a.shape[1:]) for name, a in inputs.items()])

    def _admit(self, rows: int, seconds: float) -> None:
        if self._policy.concurrency and self._asking >= self._policy.concurrency:
            raise Overloaded(f"{self._asking} requests are in work already, and no more are taken at once")
        wait = self._rows * self._row_s
        if self._rows and (self._rows + rows > self._policy.max_queue or wait > seconds):
            retry = max(1, round(wait))
            raise Overloaded(
                f"{self._rows} rows wait for the model: try again in {retry} s", retry_after=retry
            )

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that what has come is computed: at once where requests come one by one."""
        self._came += 1
        self._together = self._together or self._came > 1
        if not self._scheduled:
            self._scheduled = True
            if self._together:
                self._schedule(loop)
            else:
                self._compute(loop)
        elif self._filling and self._rows >= self._policy.max_batch_size:
            self._filling.cancel()
            self._schedule(loop)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        full = self._rows >= self._policy.max_batch_size
        if self._policy.max_latency and self._together and not full:
            self._filling = loop.call_later(self._policy.max_latency, self._compute, loop)
        else:
            self._filling = None
            loop.call_soon(self._compute, loop)

    def _compute(self, loop: asyncio.AbstractEventLoop) -> None:
        self._filling = None
        batch = self._take(time.monotonic())
        if not batch:
            self._scheduled = False
            self._together = self._came > 1
            self._came = 0
        elif self._batch_s < INLINE_S:
            self._settle(batch, *self._timed(batch), loop)
        else:
            work = loop.run_in_executor(self._thread, self._timed, batch)
            work.add_done_callback(lambda done: self._settle(batch, *done.result(), loop))

    def _take(self, now: float) -> list[_Item]:
        """The next batch: the first that waits, and those of its kind behind it, as many as fit."""
        batch: list[_Item] = []
        others: list[_Item] = []
        rows = 0
        while self._queue and rows < self._policy.max_batch_size:
            item = self._queue.popleft()
            if item.answer.done():  # whoever asked has gone
                self._rows -= item.rows
            elif item.deadline < now:
                self._rows -= item.rows
                item.answer.set_exception(DeadlineExceeded("the model was not free in time"))
            elif batch and not self._joins(batch[0], item, rows):
                others.append(item)
            else:
                batch.append(item)
                rows += item.rows
            if len(others) >= self._policy.max_batch_size:
                break
        self._queue.extendleft(reversed(others))
        self._rows -= rows
        return batch

    def _joins(self, first: _Item, item: _Item, rows: int) -> bool:
        fits = rows + item.rows <= self._policy.max_batch_size
        return fits and item.kind == first.kind and item.outputs == first.outputs

    def _timed(self, batch: list[_Item]) -> Timed:
        start, busy = time.perf_counter(), time.thread_time()
        results = self._results(batch)
        return results, time.perf_counter() - start, time.thread_time() - busy

    def _results(self, batch: list[_Item]) -> list[dict[str, Array] | Exception]:
        """An answer for each; where a batch fails, each is tried alone, so that one harms no other."""
        try:
            if len(batch) == 1:
                return [self._run(batch[0].inputs, batch[0].outputs)]
            return _split(self._run(_joined(batch), batch[0].outputs), [item.rows for item in batch])
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [result for item in batch for result in self._results([item])]

    def _settle(
        self,
        batch: list[_Item],
        results: list[dict[str, Array] | Exception],
        took: float,
        busy: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        rows = sum(item.rows for item in batch)
        # By the processor's time: on a busy machine a thread would only wait for longer.
        self._batch_s += LEARNING * (busy - self._batch_s)
        self._row_s += LEARNING * (took / rows - self._row_s)
        self._observe(rows, took, time.monotonic() - took - batch[0].since)
        for item, result in zip(batch, results, strict=True):
            if item.answer.done():
                continue
            if isinstance(result, Exception):
                item.answer.set_exception(result)
            else:
                item.answer.set_result(result)
        if self._queue:
            self._schedule(loop)
        else:
            loop.call_soon(self._compute, loop)  # who else comes in this turn did not come alone


def _joined(batch: list[_Item]) -> dict[str, Array]:
    return {name: np.concatenate([item.inputs[name] for item in batch]) for name in batch[0].inputs}


def _split(outputs: dict[str, Array], rows: list[int]) -> list[dict[str, Array] | Exception]:
    if any(len(array) != sum(rows) for array in outputs.values()):
        raise BadRequest("the model gives not one row of output for each row of input")
    ends = np.cumsum(rows).tolist()
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(rows, ends, strict=True)
    ]

"""A batch on every processor: each process takes whole parts and writes them itself."""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vaka.artifacts.manifest import FULL
from vaka.artifacts.read import digest_at, open_model
from vaka.batch.chunk import Source
from vaka.batch.columns import table
from vaka.batch.errors import BatchError
from vaka.batch.output import Output, Plan
from vaka.batch.results import Runner
from vaka.batch.source import open_source
from vaka.models.pipeline import pipeline

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Every `of`-th part, from `index` on."""

    index: int = 0
    of: int = 1


@dataclass(frozen=True, kw_only=True)
class Summary:
    rows: int
    errors: int
    complete: bool
    """Whether every part of every shard is there."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What is to be done: everything that a process of its own needs to do a part of it."""

    model: Path
    source: Source
    output: Output
    plan: Plan
    batch_size: int

    @classmethod
    def of(
        cls,
        *,
        model: Path,
        inputs: Path,
        output: str,
        rows_per_part: int | None,
        batch_size: int,
        precision: str = FULL,
    ) -> "Batch":
        """A new one, or the one that `output` has the beginning of.

        Raises:
            BatchError: there is no input, or the output holds results of something else.
        """
        wanted = pipeline(open_model(model), model).signature.inputs
        texts = [tensor.datatype for tensor in wanted] == ["BYTES"]
        source = open_source(inputs, [tensor.name for tensor in wanted], texts=texts)
        target = Output(uri=output)
        there = target.plan()
        plan = Plan(
            input=source.fingerprint,
            model=digest_at(model),
            precision=precision,
            rows=source.count,
            rows_per_part=rows_per_part or (there.rows_per_part if there else ROWS_PER_PART),
        )
        target.begin(plan)
        return cls(model=model, source=source, output=target, plan=plan, batch_size=batch_size)

    def runner(self) -> Runner:
        return Runner(self.model, batch_size=self.batch_size, precision=self.plan.precision)

    def part(self, runner: Runner, number: int) -> tuple[int, int]:
        """Predict a part and write it; its rows, and how many of them have an error."""
        chunk = self.source.read(*self.plan.rows_of(number))
        results = runner.run(chunk)
        errors = sum(isinstance(result, str) for result in results)
        self.output.write(number, table(chunk, results, runner.pipeline), errors=errors)
        return len(results), errors


ROWS_PER_PART = 4096


def run(
    batch: Batch, *, shard: Shard, processes: int, told: Callable[[int, int], None] = lambda *_: None
) -> Summary:
    """Do what is missing of the shard.

    Args:
        told: told the rows that are done, and how many of them have errors, as parts appear.
    """
    mine = range(shard.index, batch.plan.parts, shard.of)
    there = batch.output.parts() & set(mine)
    rows = sum(stop - start for start, stop in map(batch.plan.rows_of, there))
    errors = sum(map(batch.output.errors, there))
    told(rows, errors)
    for some, wrong in _done(batch, [part for part in mine if part not in there], processes):
        rows, errors = rows + some, errors + wrong
        told(rows, errors)
    complete = len(batch.output.parts()) == batch.plan.parts
    if complete:
        batch.output.finish()
    return Summary(rows=rows, errors=errors, complete=complete)


def _done(batch: Batch, parts: Sequence[int], processes: int) -> Iterator[tuple[int, int]]:
    """Rows and errors of each part, as they are done."""
    if min(processes, len(parts)) <= 1:
        runner = batch.runner() if parts else None
        for part in parts:
            assert runner
            yield batch.part(runner, part)
        return
    with _pool(batch, min(processes, len(parts))) as pool:
        try:
            for done in as_completed([pool.submit(_part, part) for part in parts]):
                yield done.result()
        except BrokenProcessPool as error:
            raise BatchError(
                "a process ended in the midst of its work, most likely for lack of memory: give it more, or "
                "less to do with --processes or --batch-size; what is done stays done"
            ) from error


@contextmanager
def _pool(batch: Batch, processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, however it ends."""
    context = multiprocessing.get_context(
        "spawn"
    )  # the libraries here have threads, which fork does not copy
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=(batch, os.getpid()))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_state: tuple[Batch, Runner] | None = None


def _start(batch: Batch, parent: int) -> None:
    global _state
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first one ends the others
    _state = batch, batch.runner()


def _part(number: int) -> tuple[int, int]:
    assert _state
    batch, runner = _state
    return batch.part(runner, number)

"""`vaka predict --input … --output …`: a batch to Parquet."""

import argparse
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from vaka.api.contract import EXIT_DATA, EXIT_STOPPED
from vaka.cli.errors import UserError
from vaka.cli.options import add_precision
from vaka.cpus import usable_cpus

if TYPE_CHECKING:
    from vaka.batch.output import Plan
    from vaka.batch.run import Shard, Summary

LINE_SECONDS = 5.0


def add_options(parser: argparse.ArgumentParser) -> None:
    batch = parser.add_argument_group("a batch, which goes on where it was when it is started again")
    batch.add_argument(
        "--input",
        metavar="PATH-OR-URI",
        help="Parquet, JSON lines, an .npy array, or a folder of these or of pictures, .npy and .json files",
    )
    batch.add_argument("--output", metavar="PATH-OR-URI", help="folder of Parquet files for the results")
    batch.add_argument("--digest", metavar="sha256:...", help="digest that the model must have")
    add_precision(batch)
    batch.add_argument(
        "--max-errors",
        type=_count,
        default=0,
        metavar="N",
        help=f"with more bad rows than this the exit status is {EXIT_DATA}, once all rows are done "
        "(default: %(default)s)",
    )
    batch.add_argument(
        "--rows-per-part", type=_positive, metavar="N", help="rows of each file (default: 4096)"
    )
    batch.add_argument(
        "--batch-size",
        type=_positive,
        default=32,
        metavar="N",
        help="rows that the model sees at once (default: %(default)s)",
    )
    batch.add_argument(
        "--processes", type=_positive, metavar="N", help="default: one for each processor that may be used"
    )
    batch.add_argument(
        "--shard", type=_shard, metavar="I/N", help="only the I-th of N shares of the work, from 0 on"
    )


def run_batch(arguments: argparse.Namespace) -> int:
    """Predict what has no result yet, and say how many rows are bad."""
    _check(arguments)
    try:
        from vaka.batch.run import Batch, Shard, run
    except ModuleNotFoundError as error:
        raise UserError(f"a batch needs {error.name}: pip install 'vaka[batch]'") from error
    from vaka import storage
    from vaka.artifacts.read import open_model

    signal.signal(signal.SIGTERM, _stop)
    with tempfile.TemporaryDirectory(prefix="vaka-batch-") as scratch:
        model = storage.fetch(arguments.model, Path(scratch) / "model")
        open_model(model, digest=arguments.digest)
        batch = Batch.of(
            model=model,
            inputs=storage.fetch(arguments.input, Path(scratch) / "input"),
            output=arguments.output,
            rows_per_part=arguments.rows_per_part,
            batch_size=arguments.batch_size,
            precision=arguments.precision,
        )
        shard = arguments.shard or Shard()
        with _progress(_rows(batch.plan, shard)) as told:
            done = run(batch, shard=shard, processes=arguments.processes or usable_cpus(), told=told)
    return _end(done, arguments)


def _check(arguments: argparse.Namespace) -> None:
    if not (arguments.input and arguments.output and arguments.model):
        raise UserError("a batch needs --model, --input and --output")
    if arguments.inputs:
        raise UserError(f"{arguments.inputs[0]}: give --input or INPUT, not both")


def _rows(plan: "Plan", shard: "Shard") -> int:
    return sum(stop - start for start, stop in map(plan.rows_of, range(shard.index, plan.parts, shard.of)))


def _end(done: "Summary", arguments: argparse.Namespace) -> int:
    complete = "" if done.complete else "; other shards go on"
    print(f"{done.rows} rows in {arguments.output}, {done.errors} with an error{complete}", file=sys.stderr)
    if done.errors <= arguments.max_errors:
        return 0
    print(
        f"vaka: {done.errors} rows have an error, and --max-errors allows {arguments.max_errors}: "
        "the column `error` says what is wrong with each",
        file=sys.stderr,
    )
    return EXIT_DATA


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """A function that shows how far it is: in a bar on a terminal, else in a line every few seconds."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(file=sys.stderr)) as bar:
            task = bar.add_task("rows", total=total)
            yield lambda rows, _: bar.update(task, completed=rows)
        return
    last = began = monotonic()

    def line(rows: int, errors: int) -> None:
        nonlocal last
        if monotonic() - last >= LINE_SECONDS:
            last = monotonic()
            rate = rows / (last - began)
            print(f"{rows} of {total} rows, {errors} with an error, {rate:.0f} a second", file=sys.stderr)

    yield line


def _stop(*_: object) -> None:
    """Kubernetes takes the pod away: parts in hand are finished, the others are left for another time."""
    raise SystemExit(EXIT_STOPPED)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number, 0 or more")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number, 1 or more")
    return int(text)


def _shard(text: str) -> "Shard":
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r}: give I/N, as 0/4, 1/4, 2/4 and 3/4")
    from vaka.batch.run import Shard

    return Shard(index=int(match[1]), of=int(match[2]))

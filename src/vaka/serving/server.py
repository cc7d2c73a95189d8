"""`vaka serve` as a whole: take the ports, start a process for each processor, and wait for them.

It imports nothing heavy: see fleet.
"""

import logging
import resource
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from vaka.serving.board import Board
from vaka.serving.columns import COLUMNS, ENDED, LASTING, LOADING
from vaka.serving.fleet import Fleet, Place
from vaka.serving.options import ModelSource, Options
from vaka.serving.ports import listening, port_of, reserved

log = logging.getLogger(__name__)


def run(sources: list[ModelSource], options: Options) -> int:
    """Serve versions of a model until SIGTERM or SIGINT; gives the exit status.

    OSError if a port cannot be had.
    """
    _allow_many_connections()
    with (
        listening(options.host, options.http_port) as listener,
        reserved(options.host, options.grpc_port) as grpc_port,
        tempfile.TemporaryDirectory(prefix="vaka-") as scratch,
    ):
        board = Board(rows=options.processes, columns=COLUMNS)
        for number in range(options.processes):
            board.row(number)[LOADING] = 1
        own = replace(options, http_port=port_of(listener), grpc_port=grpc_port)
        fleet = Fleet(
            partial(_work, sources, own, board, Path(scratch)),
            size=options.processes,
            listener=listener,
            ended=lambda number: int(board.row(number)[ENDED]),
            forget=partial(board.clear, keep=LASTING),
            listening=partial(_announce, sources[0], own),
        )
        code = fleet.run()
    if code == 0:
        log.info("all requests are answered: goodbye")
    return code


def _allow_many_connections() -> None:
    """As many as the system lets this user have: shells begin with 1,024 open files, for old programs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _work(sources: list[ModelSource], options: Options, board: Board, scratch: Path, place: Place) -> None:
    from vaka.serving import worker

    worker.run(sources, options, board, scratch, place)


def _announce(source: ModelSource, options: Options) -> None:
    where = (options.host, options.http_port, source.name, source.uri)
    log.info("listening on http://%s:%d, model %s from %s", *where)
    if options.grpc_port is not None:
        log.info("listening on grpc://%s:%d", options.host, options.grpc_port)

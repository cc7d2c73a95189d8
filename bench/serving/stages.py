"""What each stage of one request costs in Vaka's server: `python bench/serving/stages.py`.

CPU microseconds, medians of many; 16 requests at a time, as when 16 connections ask. Bodies hold one image of
28x28. The kernel's part (receiving, sending, waking) is not in it: there are no sockets.
"""

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import model
import numpy as np
import uvloop
from bodies import BINARY, BINARY_HEAD, V1, V2, Protocol
from inside import TOGETHER, Clients, Inside, groups, inside, requests

from vaka.artifacts.manifest import Manifest
from vaka.artifacts.tensors import Array
from vaka.models.pipeline import pipeline
from vaka.serving import numbers, v1, v2
from vaka.serving.batcher import Batcher, BatchPolicy
from vaka.serving.messages import Request, Response
from vaka.serving.predictor import Predictor

SAMPLES = 256
PROTOCOLS = (V1, V2, BINARY)

Arrays = Mapping[str, Array]
Column = dict[str, float]
"""Microseconds by the stage's name."""


class Codec(NamedTuple):
    """How a protocol's bodies become arrays, and arrays its answers."""

    decode: Callable[[bytes], Arrays]
    encode: Callable[[Arrays], object]


def main() -> int:
    """Measure and print."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure())
    return 0


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        async with inside(model.ensure(), Path(scratch)) as server:
            columns = {protocol.name: await stages(server, protocol) for protocol in PROTOCOLS}
            beside = {protocol.name: await asides(server, protocol) for protocol in PROTOCOLS}
    print(f"CPU microseconds of a request, {TOGETHER} at a time, medians of {SAMPLES}, share of the whole")
    _show(columns)
    print("\nbeside these, in microseconds")
    _show(beside, shares=False)


async def stages(server: Inside, protocol: Protocol) -> Column:
    """The parts of a request in their order, what is left over, and the whole."""
    reading, answering = await _http(protocol)
    codec = codec_of(protocol, server.holder.model.manifest)
    inputs = [[codec.decode(body) for body in group] for group in groups(protocol)]
    predictor = server.holder.model.predictor
    batches = [{name: np.concatenate([one[name] for one in group]) for name in group[0]} for group in inputs]
    outputs = [[predictor.predict(one) for one in group] for group in inputs]
    parts = {
        "HTTP: reading": reading,
        "HTTP: task, writing": answering,
        "decoding": _cost(groups(protocol), lambda group: [codec.decode(body) for body in group]),
        "checking": _cost(inputs, lambda group: _check(predictor, group)),
        "batching": await _batching(inputs, predictor.predict(batches[0])),
        f"model, {TOGETHER} rows": _cost(batches, predictor.run),
        "encoding": _cost(outputs, lambda group: [codec.encode(one) for one in group]),
        "metrics": _cost(inputs, lambda group: _count(server, len(group))),
    }
    whole = await _whole(server, protocol, TOGETHER)
    return parts | {"routing and the rest": whole - sum(parts.values()), "whole": whole}


async def asides(server: Inside, protocol: Protocol) -> Column:
    """What is not part of the same request: other ways, and what one request alone costs."""
    codec = codec_of(protocol, server.holder.model.manifest)
    predictor = server.holder.model.predictor
    alone = [[codec.decode(body) for body in group] for group in groups(protocol)]
    found = {
        "model, a row alone": _cost(alone, lambda group: [predictor.run(one) for one in group]),
        "whole, one at a time": await _whole(server, protocol, 1),
    }
    if protocol is not BINARY:
        with (
            patch.object(numbers, "v1_rows", lambda *_: None),
            patch.object(numbers, "v2_inputs", lambda *_: None),
        ):
            exact = _cost(groups(protocol), lambda group: [codec.decode(body) for body in group])
        found = {"decoding the exact way": exact} | found
    return found


def codec_of(protocol: Protocol, manifest: Manifest) -> Codec:
    if protocol is V1:
        own = pipeline(manifest, Path())
        return Codec(lambda body: v1.decode(body, own), lambda outputs: v1.encode(outputs, own))
    asked, _ = v2.decode(*_split(protocol, groups(protocol)[0][0]))
    return Codec(
        lambda body: v2.decode(*_split(protocol, body))[1],
        lambda outputs: v2.encode(asked, outputs, model.NAME),
    )


def _split(protocol: Protocol, body: bytes) -> tuple[bytes, int | None]:
    return body, len(BINARY_HEAD) if protocol is BINARY else None


async def _http(protocol: Protocol) -> tuple[float, float]:
    """Reading a request, and all else that a connection does for one whose answer is there at once."""
    answer = b'{"predictions":[[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]]}'

    async def app(_: Request) -> Response:
        return Response(answer)

    clients, reading, whole = Clients(app), [], []
    for group in _turns(requests(protocol)):
        start = time.process_time_ns()
        clients.send(group)
        reading.append(time.process_time_ns() - start)
        await clients.answers()
        whole.append(time.process_time_ns() - start)
    read = _median(reading)
    return read, _median(whole) - read


async def _batching(inputs: list[list[Arrays]], result: dict[str, Array]) -> float:
    """The batcher around a model that takes no time, without the tasks that ask it."""
    batcher = Batcher(
        lambda *_: result,
        BatchPolicy(max_batch_size=TOGETHER),
        batchable=True,
        observe=lambda *_: None,
    )
    with_it, without = [], []
    for group in _turns(inputs):
        start = time.process_time_ns()
        await asyncio.gather(*(batcher.infer(one) for one in group))
        with_it.append(time.process_time_ns() - start)
        start = time.process_time_ns()
        await asyncio.gather(*(asyncio.sleep(0) for _ in group))
        without.append(time.process_time_ns() - start)
    return _median(with_it) - _median(without)


async def _whole(server: Inside, protocol: Protocol, together: int) -> float:
    """From the bytes of a request to the bytes of its answer."""
    clients, figures = Clients(server.app), []
    for group in _turns(requests(protocol)):
        start = time.process_time_ns()
        clients.send(group[:together])
        await clients.answers()
        figures.append(time.process_time_ns() - start)
    return _median(figures, together)


def _check(predictor: Predictor, group: list[Arrays]) -> None:
    for one in group:
        predictor.check(one, ())


def _count(server: Inside, requests: int) -> None:
    for _ in range(requests):
        start = time.perf_counter()
        server.metrics.begin()
        server.metrics.end("v1", "200", time.perf_counter() - start)
    server.metrics.batch(requests, 0.001, 0.001)


def _cost(groups: list[Any], work: Callable[[Any], object]) -> float:
    """Microseconds of the work for one request; each group holds TOGETHER."""
    figures = []
    for group in _turns(groups):
        start = time.process_time_ns()
        work(group)
        figures.append(time.process_time_ns() - start)
    return _median(figures)


def _turns(groups: list[Any]) -> "itertools.islice[Any]":
    """Other values each time, so that the processor does not learn them by heart."""
    return itertools.islice(itertools.cycle(groups), SAMPLES)


def _median(nanoseconds: list[int], requests: int = TOGETHER) -> float:
    return statistics.median(nanoseconds) / requests / 1000


def _show(columns: dict[str, Column], *, shares: bool = True) -> None:
    print(" " * 24 + "".join(f"{name:>18}" for name in columns))
    for stage in next(iter(columns.values())):
        cells = [_cell(column, stage, shares) for column in columns.values()]
        print(f"{stage:24}{''.join(cells)}", flush=True)


def _cell(column: Column, stage: str, shares: bool) -> str:
    if stage not in column:
        return f"{'-':>18}"
    share = f"{column[stage] / column['whole']:7.0%}" if shares else ""
    return f"{column[stage]:11.1f}{share}".rjust(18)


if __name__ == "__main__":
    sys.exit(main())

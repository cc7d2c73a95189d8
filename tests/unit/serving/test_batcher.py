import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.serving.batcher import Batcher, BatchPolicy
from vaka.serving.errors import BadRequest, DeadlineExceeded, Overloaded


class Doubler:
    """A model that doubles x, refuses negative values, and notes what it was given."""

    def __init__(self):
        self.batches = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, inputs, _):
        self.free.wait()
        x = inputs["x"]
        self.batches.append(len(x))
        if (x < 0).any():
            raise BadRequest("negative")
        return {"y": 2 * x}

    def batcher(self, *, batchable=True, **policy):
        return Batcher(self, BatchPolicy(**policy), batchable=batchable, observe=lambda *_: None)


def rows(*values):
    return {"x": np.array(values, np.float32)}


@given(
    st.lists(st.lists(st.integers(-3, 50), min_size=1, max_size=9), min_size=1, max_size=12),
    st.integers(1, 8),
    st.booleans(),
)
def test_everyone_gets_what_they_would_have_got_alone(requests, size, batchable):
    async def run():
        batcher = Doubler().batcher(max_batch_size=size, batchable=batchable)
        asked = [batcher.infer(rows(*request)) for request in requests]
        return await asyncio.gather(*asked, return_exceptions=True)

    for request, answer in zip(requests, asyncio.run(run()), strict=True):
        if min(request) < 0:
            assert isinstance(answer, BadRequest)
        else:
            assert answer["y"].tolist() == [2 * value for value in request]


async def test_the_first_is_computed_at_once_and_what_waits_meanwhile_together():
    model = Doubler()
    batcher = model.batcher(max_batch_size=4)
    await asyncio.gather(*(batcher.infer(rows(n)) for n in range(7)))
    assert model.batches == [1, 4, 2]


async def test_requests_that_keep_coming_together_are_computed_together():
    model = Doubler()
    batcher = model.batcher(max_batch_size=4)
    for _ in range(3):
        await asyncio.gather(*(batcher.infer(rows(n)) for n in range(3)))
        await idle(batcher)
    assert model.batches == [1, 2, 3, 3]


async def test_a_request_that_comes_alone_waits_for_no_turn_of_the_loop():
    batcher = Doubler().batcher()
    await batcher.infer(rows(1))  # on a thread: how long the model takes is not known yet
    await idle(batcher)
    with pytest.raises(StopIteration):
        batcher.infer(rows(2)).send(None)


async def test_inputs_of_other_shapes_or_outputs_are_not_mixed():
    model = Doubler()
    batcher = model.batcher()
    flat, square = rows(1, 2), {"x": np.ones((1, 3), np.float32)}
    answers = await asyncio.gather(
        batcher.infer(flat), batcher.infer(square), batcher.infer(flat, ["y"]), batcher.infer(flat)
    )
    assert [answer["y"].shape for answer in answers] == [(2,), (1, 3), (2,), (2,)]
    assert model.batches == [2, 1, 2, 2]


async def test_inputs_of_uneven_length_are_computed_alone():
    sizes = []

    def model(inputs, _):
        sizes.append((len(inputs["a"]), len(inputs["b"])))
        return {"y": inputs["b"]}

    batcher = Batcher(model, BatchPolicy(), batchable=True, observe=lambda *_: None)
    first = {"a": np.zeros(1), "b": np.array([1, 1])}
    second = {"a": np.zeros(2), "b": np.array([2])}
    answers = await asyncio.gather(batcher.infer(first), batcher.infer(second))
    assert [answer["y"].tolist() for answer in answers] == [[1, 1], [2]]
    assert sizes == [(1, 2), (2, 1)]


async def test_a_model_that_cannot_batch_runs_one_request_at_a_time():
    model = Doubler()
    batcher = model.batcher(batchable=False)
    await asyncio.gather(*(batcher.infer(rows(n)) for n in range(3)))
    assert model.batches == [1, 1, 1]


async def idle(batcher):
    while batcher._scheduled:
        await asyncio.sleep(0)


async def busy(model, **policy):
    """A batcher whose model is at work, on a thread, until model.free is set."""
    batcher = model.batcher(**policy)
    batcher._batch_s = 1.0  # so slow that it is not run on the event loop
    batcher._row_s = 0.1
    model.free.clear()
    task = asyncio.ensure_future(batcher.infer(rows(0)))
    while batcher._queue or not batcher._scheduled:
        await asyncio.sleep(0)
    return batcher, task


async def test_more_than_the_queue_holds_is_refused_at_once():
    model = Doubler()
    batcher, first = await busy(model, max_queue=2)
    waiting = [asyncio.ensure_future(batcher.infer(rows(n))) for n in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 rows wait for the model") as told:
        await batcher.infer(rows(3))
    assert told.value.headers == {"retry-after": "1"}
    model.free.set()
    assert [a["y"].tolist() for a in await asyncio.gather(first, *waiting)] == [[0], [2], [4]]


async def test_what_could_not_be_answered_in_time_is_refused_at_once():
    model = Doubler()
    batcher, first = await busy(model)
    waiting = [asyncio.ensure_future(batcher.infer(rows(n))) for n in range(20)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="try again in 2 s"):
        await batcher.infer(rows(3), timeout=1.5)
    model.free.set()
    await asyncio.gather(first, *waiting)


async def test_what_waited_too_long_is_not_computed():
    model = Doubler()
    batcher, first = await busy(model)
    late = asyncio.ensure_future(batcher.infer(rows(5), timeout=1e-6))
    await asyncio.sleep(0)
    model.free.set()
    with pytest.raises(DeadlineExceeded):
        await late
    await first
    assert model.batches == [1]


async def test_whoever_has_gone_is_not_computed_for():
    model = Doubler()
    batcher, first = await busy(model)
    gone = asyncio.ensure_future(batcher.infer(rows(5)))
    await asyncio.sleep(0)
    gone.cancel()
    model.free.set()
    await first
    assert (await batcher.infer(rows(1)))["y"].tolist() == [2]
    assert model.batches == [1, 1]


async def test_no_more_than_the_concurrency_is_taken():
    model = Doubler()
    batcher, first = await busy(model, concurrency=1)
    with pytest.raises(Overloaded, match="1 requests are in work already"):
        await batcher.infer(rows(1))
    model.free.set()
    await first
    await batcher.infer(rows(1))


async def test_a_batch_waits_to_be_filled_only_while_requests_come_together():
    model = Doubler()
    batcher = model.batcher(max_batch_size=2, max_latency=3600)
    await batcher.infer(rows(1))  # alone: nothing to wait for
    await idle(batcher)
    await asyncio.gather(*(batcher.infer(rows(n)) for n in range(3)))
    await idle(batcher)
    late = asyncio.ensure_future(batcher.infer(rows(3)))
    await asyncio.sleep(0)
    await asyncio.gather(late, batcher.infer(rows(4)))
    assert model.batches == [1, 1, 2, 2]


async def test_a_request_whose_time_is_over_is_not_computed():
    model = Doubler()
    with pytest.raises(DeadlineExceeded):
        await model.batcher().infer(rows(1), timeout=0)
    assert model.batches == []

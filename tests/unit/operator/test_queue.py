import asyncio
import contextlib
from collections.abc import AsyncIterator

from vaka_operator.queue import Key, Queue, Work

A = Key("TrainingJob", "team", "a")
B = Key("TrainingJob", "team", "b")


@contextlib.asynccontextmanager
async def running(work: Work, *, workers: int = 2) -> AsyncIterator[Queue]:
    queue = Queue(work, workers=workers, backoff=(0.001, 0.004))
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Recorder:
    """Work that notes its keys and waits until it is let go on."""

    def __init__(self, *results: float | Exception | None) -> None:
        self.results = list(results)
        self.begun: asyncio.Queue[Key] = asyncio.Queue()
        self.go_on = asyncio.Semaphore(0)
        self.at_once = self.most_at_once = 0

    async def __call__(self, key: Key) -> float | None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.put_nowait(key)
        await self.go_on.acquire()
        self.at_once -= 1
        result = self.results.pop(0) if self.results else None
        if isinstance(result, Exception):
            raise result
        return result


async def test_wakes_of_one_key_coalesce() -> None:
    work = Recorder()
    async with running(work) as queue:
        for _ in range(5):
            queue.wake(A)
        assert len(queue) == 1
        assert await work.begun.get() == A
        work.go_on.release()
        queue.wake(B)
        assert await work.begun.get() == B
        assert work.begun.empty()


async def test_a_key_woken_during_its_work_is_worked_on_once_more_and_never_twice_at_once() -> None:
    work = Recorder()
    async with running(work) as queue:
        queue.wake(A)
        await work.begun.get()
        queue.wake(A)
        queue.wake(A)
        assert len(queue) == 0
        work.go_on.release()
        assert await work.begun.get() == A
        assert work.most_at_once == 1


async def test_different_keys_are_worked_on_at_once_as_far_as_there_are_workers() -> None:
    work = Recorder()
    async with running(work, workers=2) as queue:
        for name in "abc":
            queue.wake(Key("TrainingJob", "team", name))
        await work.begun.get()
        await work.begun.get()
        assert (work.at_once, len(queue)) == (2, 1)


async def test_work_may_ask_to_be_done_again_later() -> None:
    work = Recorder(0.001)
    async with running(work) as queue:
        queue.wake(A)
        work.go_on.release()
        assert [await work.begun.get(), await work.begun.get()] == [A, A]


async def test_a_failure_is_tried_again_and_others_go_on() -> None:
    work = Recorder(RuntimeError("once"), RuntimeError("twice"))
    async with running(work, workers=1) as queue:
        queue.wake(A)
        for _ in range(3):
            work.go_on.release()
        assert [await work.begun.get() for _ in range(3)] == [A, A, A]
        work.go_on.release()
        queue.wake(B)
        assert await work.begun.get() == B


async def test_a_wake_comes_before_a_longer_wait() -> None:
    work = Recorder(3600.0)
    async with running(work) as queue:
        queue.wake(A)
        await work.begun.get()
        work.go_on.release()
        while A not in queue._timers:  # the work has returned when its timer is set
            await asyncio.sleep(0)
        queue.wake(A)
        assert await work.begun.get() == A
        assert not queue._timers

"""Threads that make room for other work: two trainings on the same processors get on."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.training.environment import THREADS_ENV
from vaka.training.report import Reporter
from vaka.training.threads import (
    LOOK_SECONDS,
    RETRY_SECONDS,
    TOO_MANY,
    Threads,
    idle_processors,
    waited_for_processors,
)


class Machine:
    """Some processors, that other work takes a part of."""

    def __init__(self, processors: int) -> None:
        self.processors = self.threads = processors
        self.taken = 0.0
        self.allowed = float(processors)
        """How many this process may use, whether or not more are idle."""
        self.now = self.waited = self.idled = 0.0
        self.said: list[str] = []
        self.ours = Threads(
            processors,
            self._use,
            self.said.append,
            waited=lambda: self.waited,
            idled=lambda: self.idled,
            clock=lambda: self.now,
        )

    def _use(self, number: int) -> None:
        assert 1 <= number <= self.processors
        self.threads = number

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            ours = min(self.threads, self.allowed, self.processors - self.taken)
            self.waited += 0.5 * (self.threads - ours)
            self.idled += 0.5 * (self.processors - self.taken - ours)
            self.ours.look()


@given(processors=st.integers(1, 64), part=st.floats(0, 1))
def test_as_many_train_as_other_work_leaves_processors_for(processors: int, part: float) -> None:
    machine = Machine(processors)
    machine.taken = part * processors
    machine.run(RETRY_SECONDS - LOOK_SECONDS)
    free = processors - machine.taken
    assert machine.threads == 1 or machine.threads <= free + TOO_MANY + 0.01
    assert machine.threads >= min(processors, free - 1)


@given(processors=st.integers(2, 64), seconds=st.floats(2 * LOOK_SECONDS, 50000))
def test_all_train_again_soon_after_the_other_work(processors: int, seconds: float) -> None:
    machine = Machine(processors)
    machine.taken = processors
    machine.run(seconds)
    machine.taken = 0
    machine.run(RETRY_SECONDS + 3 * LOOK_SECONDS)
    assert machine.threads == processors
    assert machine.said[-1] == f"training with all {processors} threads again"


def test_no_more_are_tried_while_no_processor_idles() -> None:
    machine = Machine(2)
    machine.taken = 1
    machine.run(40 * RETRY_SECONDS)
    assert len(machine.said) == 1


def test_where_idle_processors_are_not_for_this_process_trying_costs_ever_less() -> None:
    machine = Machine(4)
    machine.allowed = 2
    machine.run(40 * RETRY_SECONDS)
    assert len(machine.said) < 14


def test_waiting_for_a_processor_is_counted(sharing: Callable[[int], AbstractContextManager[None]]) -> None:
    with sharing(1):
        before = waited_for_processors()
        while waited_for_processors() < before + 0.1:
            pass


def test_processors_with_nothing_to_do_are_counted() -> None:
    before = idle_processors()
    while idle_processors() == before:
        time.sleep(0.01)  # which is to have nothing to do


def test_a_number_that_the_environment_gives_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_ENV, "2")
    assert Threads.of(Reporter()) is None

"""What the gates of a canary decide, by what the routers have measured."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.contract import ShadowReport
from vaka.api.inferenceservice import CanaryStatus
from vaka.api.router import CanaryGates
from vaka_operator.status import rollouts
from vaka_operator.status.gates import Measured, compared, decide, is_tried, measured
from vaka_operator.status.routers import Figures, RouterState, reach_canary

START = datetime(2026, 1, 1, tzinfo=UTC)
GATES = CanaryGates(interval=60, min_requests=100, max_error_rate=0.01, max_latency_ratio=1.5)
GOOD = Measured(answers=200, errors=0, milliseconds=2000)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def decided(previous: CanaryStatus | None, *, seconds: float = 0, **given: Any) -> CanaryStatus:
    fields: dict[str, Any] = {"target": "b", "serves": True, "predictor": GOOD, "canary": GOOD}
    return decide(GATES, previous, now=at(seconds), **fields | given)


def begun() -> CanaryStatus:
    return decided(None)


def test_a_good_canary_goes_through_all_steps_and_is_promoted() -> None:
    status, seen = begun(), []
    for minute in range(1, 6):
        seen.append((status.phase, status.traffic_percent))
        status = decided(status, seconds=60 * minute)
    assert seen[:4] == [("Progressing", percent) for percent in (10, 25, 50, 100)]
    assert (status.phase, status.traffic_percent) == ("Promoted", 100)
    assert rollouts.finding(status) is not None


def test_a_step_lasts_its_time_and_needs_its_requests() -> None:
    assert decided(begun(), seconds=59).traffic_percent == 10
    few = Measured(answers=99, milliseconds=990)
    assert decided(begun(), seconds=3600, canary=few).traffic_percent == 10


@pytest.mark.parametrize(
    ("canary", "told"),
    [
        (Measured(answers=100, errors=2, milliseconds=1000), "2 of 100 answers were errors: 2.00%"),
        (Measured(answers=2, errors=2, milliseconds=20), "2 of 2 answers were errors"),
        (Measured(answers=100, milliseconds=1600), "16.0 ms, 1.60 times the predictor's"),
    ],
)
def test_a_bad_canary_loses_its_traffic_at_once_and_for_good(canary: Measured, told: str) -> None:
    status = decided(begun(), seconds=5, canary=canary)
    assert (status.phase, status.traffic_percent) == ("RolledBack", 0)
    assert status.message is not None
    assert told in status.message
    assert decided(status, seconds=600) == status


def test_another_canary_begins_anew() -> None:
    bad = decided(begun(), seconds=5, canary=Measured(answers=100, errors=100))
    status = decided(bad, seconds=10, target="c")
    assert (status.phase, status.traffic_percent, status.step_since) == ("Progressing", 10, at(10))


def test_a_canary_without_pods_gets_nothing_and_goes_on_at_its_step() -> None:
    second = decided(begun(), seconds=60)
    lost = decided(second, seconds=70, serves=False)
    assert (lost.phase, lost.traffic_percent, lost.step) == ("Waiting", 0, 25)
    back = decided(lost, seconds=100)
    assert (back.phase, back.traffic_percent, back.step_since) == ("Progressing", 25, at(100))


def test_a_new_step_is_told_with_its_figures() -> None:
    (told,) = rollouts.news(begun(), decided(begun(), seconds=60))
    assert "passed 10 % with 200 requests, 0.00% errors" in told.message
    assert told.message.endswith("it gets 25 %")
    assert rollouts.news(begun(), decided(begun(), seconds=30)) == []


measurements = st.builds(
    Measured,
    answers=st.integers(0, 1000),
    errors=st.integers(0, 1000),
    milliseconds=st.integers(0, 10**6),
)


@given(st.lists(st.tuples(st.integers(1, 100), measurements, measurements, st.booleans()), max_size=30))
def test_traffic_only_grows_by_steps_or_goes_to_nothing(
    seen: list[tuple[int, Measured, Measured, bool]],
) -> None:
    status, seconds = begun(), 0
    for lasted, predictor, canary, serves in seen:
        seconds, before = seconds + lasted, status
        status = decided(status, seconds=seconds, predictor=predictor, canary=canary, serves=serves)
        assert status.traffic_percent in (0, *GATES.steps)
        if status.traffic_percent > before.traffic_percent > 0:
            assert GATES.steps.index(status.traffic_percent) == GATES.steps.index(before.traffic_percent) + 1
            assert canary.answers >= GATES.min_requests
        if before.phase == "RolledBack":
            assert status == before


def test_a_router_that_began_anew_counts_from_nothing() -> None:
    def state(answers: int) -> RouterState:
        return RouterState(50, 0, Figures(), Figures(answers=answers))

    before = {"a": state(10), "b": state(20)}
    now = {"a": state(15), "b": state(3), "c": state(4), "d": None}
    assert measured("canary", now, before).answers == 5 + 3 + 4


AGREEING = msgspec.structs.replace(GATES, min_agreement=0.9)


def compared_by(agreed: int, total: int) -> CanaryStatus:
    shadow = ShadowReport(agreed=agreed, compared=total)
    fields: dict[str, Any] = {"target": "b", "serves": True, "predictor": GOOD, "canary": GOOD}
    return decide(AGREEING, begun(), now=at(60), shadow=shadow, **fields)


def test_a_canary_that_says_something_else_loses_its_traffic() -> None:
    status = compared_by(89, 100)
    assert (status.phase, status.traffic_percent) == ("RolledBack", 0)
    assert status.message is not None
    assert "89 of 100 of its answers were the predictor's: 89.00%" in status.message


def test_one_that_agrees_goes_on_once_enough_was_compared() -> None:
    assert compared_by(98, 98).traffic_percent == 10
    status = compared_by(90, 100)
    assert status.traffic_percent == 25
    assert status.figures is not None
    assert (status.figures.compared, status.figures.agreement) == (100, "0.9000")


def test_what_pods_compared_is_counted_from_when_the_step_began() -> None:
    before = {"a": ShadowReport(agreed=5, compared=10), "b": ShadowReport(agreed=9, compared=9)}
    now = {
        "a": ShadowReport(agreed=7, compared=13),
        "b": ShadowReport(agreed=1, compared=2),  # began anew
        "c": ShadowReport(agreed=3, compared=3),
    }
    assert compared(now, before) == ShadowReport(agreed=6, compared=8)


def test_a_former_canary_that_goes_on_never_passes_the_gates_of_the_new_one() -> None:
    former = decided(begun(), seconds=60)
    assert not is_tried(former, target="c", serves=True, newest=False)
    waiting = decided(former, seconds=61, target="c", serves=False)
    assert (waiting.phase, waiting.traffic_percent) == ("Waiting", 0)
    assert not is_tried(waiting, target="c", serves=True, newest=False)
    assert is_tried(waiting, target="c", serves=True, newest=True)


def test_a_canary_on_trial_goes_on_while_its_pods_are_changed() -> None:
    assert is_tried(begun(), target="b", serves=True, newest=False)
    assert not is_tried(begun(), target="b", serves=False, newest=True)


def test_what_a_former_canary_answered_says_nothing_of_the_new_one() -> None:
    bad = Measured(answers=200, errors=100, milliseconds=2000)
    anew = decided(decided(begun(), seconds=5, canary=bad), seconds=6, target="c", canary=bad)
    assert (anew.phase, anew.traffic_percent, anew.figures) == ("Progressing", 10, None)


def test_a_canary_that_goes_on_waiting_has_nothing_new_to_tell() -> None:
    waiting = decided(None, serves=False)
    assert decided(waiting, seconds=5, serves=False) == waiting


@pytest.mark.parametrize(
    ("up", "reached"), [([1, 1], True), ([1, 0], False), ([0, 1], False), ([], False)], ids=str
)
def test_a_canary_is_tried_only_once_all_routers_find_it_by_either_protocol(
    up: list[int], reached: bool
) -> None:
    there = RouterState(0, 0, Figures(), Figures(up=[1, 1]))
    assert reach_canary({"a": there, "b": RouterState(0, 0, Figures(), Figures(up=up))}) == reached
    assert not reach_canary({"a": there, "b": None})
    assert not reach_canary({})

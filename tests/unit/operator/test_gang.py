"""When pods that train together are scheduled, and when they are given up for a while."""

from collections.abc import Callable
from typing import Any

import pytest

from vaka_operator.manifests.environment import INDEX
from vaka_operator.manifests.job import GANG
from vaka_operator.status import gang
from vaka_operator.status.group import Group

JSON = dict[str, Any]
LONG_AGO, JUST_NOW, NOW = "2026-01-01T11:00:00Z", "2026-01-01T11:59:00Z", "2026-01-01T12:00:00Z"
GATED: list[JSON] = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]


def placed(since: str) -> list[JSON]:
    return [{"type": "PodScheduled", "status": "True", "lastTransitionTime": since}]


UNPLACED: list[JSON] = [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes: cpu"}
]


@pytest.fixture
def member(pod: Callable[..., JSON]) -> Callable[..., JSON]:
    def make(index: int, *, gated: bool = False, **fields: Any) -> JSON:
        made = pod(name=f"digits-{index}", **{"created": LONG_AGO, "node": None} | fields)
        made["metadata"]["annotations"] = {INDEX: str(index)}
        if gated:
            made["spec"]["schedulingGates"] = [{"name": GANG}]
            made["status"]["conditions"] = GATED
        return made

    return make


def group(*pods: JSON, size: int = 3, need: int = 3) -> Group:
    return Group(pods=pods, size=size, need=need)


def test_no_pod_is_scheduled_before_all_are_there(member: Callable[..., JSON]) -> None:
    first, second, third = (member(i, gated=True) for i in range(3))
    assert gang.to_release(group(first, second)) == []
    assert gang.to_release(group(first, second, third)) == [first, second, third]
    assert gang.to_release(group(first, second, need=2)) == [first, second], "an elastic job needs fewer"


def test_pods_that_end_do_not_count_and_those_that_run_do(member: Callable[..., JSON]) -> None:
    runs, ended, new = member(0, phase="Running"), member(1, phase="Failed"), member(2, gated=True)
    assert gang.to_release(group(runs, ended, new)) == []
    assert gang.to_release(group(runs, member(1, phase="Running"), new)) == [new]


def test_what_holds_resources_too_long_for_one_without_a_node_is_given_up(
    member: Callable[..., JSON],
) -> None:
    holds, left = member(0, conditions=placed(LONG_AGO)), member(1, conditions=UNPLACED)
    why = gang.stuck(group(holds, left), now=NOW)
    assert why == "1 of 3 pods had a node and digits-1 had not: 0/2 nodes: cpu"


@pytest.mark.parametrize(
    ("held", "created", "need"),
    [(JUST_NOW, LONG_AGO, 3), (LONG_AGO, JUST_NOW, 3), (None, LONG_AGO, 3), (LONG_AGO, LONG_AGO, 0)],
    ids=["held not long", "missed not long", "nothing held", "enough run"],
)
def test_nothing_is_given_up_too_early(
    member: Callable[..., JSON], held: str | None, created: str, need: int
) -> None:
    holds = member(0, conditions=placed(held) if held else GATED)
    left = member(1, conditions=UNPLACED, created=created)
    assert gang.stuck(group(holds, left, need=need), now=NOW) is None


def test_the_pause_is_told_ends_and_differs_between_jobs() -> None:
    first, second = (gang.pause(uid, "no cpu", now=NOW) for uid in ("00000000-1", "ffffffff-2"))
    assert first.startswith("2026-01-01T12:01:00Z")
    assert first != second
    job = {"metadata": {"annotations": {gang.PAUSED: second}}}
    told = gang.paused(job, now=NOW)
    assert told is not None
    assert told.startswith("no cpu; all were taken back, and are tried again at 2026-01-01T12:0")
    assert gang.paused(job, now="2026-01-01T12:02:00Z") is None
    assert gang.paused({"metadata": {}}, now=NOW) is None

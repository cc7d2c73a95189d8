"""Events, columns and metrics."""

import pytest
from prometheus_client import generate_latest

from vaka.api.reasons import Reason
from vaka.api.types import Condition, Metric
from vaka_operator.metrics import Metrics
from vaka_operator.queue import Key
from vaka_operator.status import columns
from vaka_operator.status.conditions import Finding
from vaka_operator.status.events import event, news

RESOURCE = {
    "apiVersion": "vaka.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "digits", "namespace": "team", "uid": "u", "resourceVersion": "7"},
}


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, None), (0, "0s"), (59, "59s"), (60, "1m0s"), (80, "1m20s"), (3600, "1h0m"), (7384, "2h3m")],
)
def test_remaining_time(seconds: int | None, shown: str | None) -> None:
    assert columns.eta(seconds) == shown


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        ([], None),
        ([("loss", "0.25")], "loss=0.25"),
        ([("loss", "0.25"), ("accuracy", "0.99123")], "accuracy=0.9912"),
        ([("loss", "nan")], "loss=nan"),
        ([("loss", "?")], "loss=?"),
    ],
)
def test_the_main_metric(metrics: list[tuple[str, str]], shown: str | None) -> None:
    assert columns.metric([Metric(name=n, value=v) for n, v in metrics]) == shown


def test_an_event_told_again_has_the_same_name_and_another_has_not() -> None:
    def name(reason: Reason, version: str = "7", now: str = "2026-01-01T00:00:00Z") -> str:
        resource = RESOURCE | {"metadata": RESOURCE["metadata"] | {"resourceVersion": version}}  # type: ignore[operator]
        made = event(resource, Finding(reason, "m"), instance="pod-1", now=now)
        return str(made["metadata"]["name"])

    assert name(Reason.TRAINING) == name(Reason.TRAINING, now="2026-02-02T00:00:00Z")
    assert len({name(Reason.TRAINING), name(Reason.PUBLISHING), name(Reason.TRAINING, "8")}) == 3


def condition(kind: str, reason: str) -> Condition:
    return Condition(type=kind, status="True", reason=reason, message=reason, last_transition_time="t")


def test_each_new_reason_is_told_once() -> None:
    before = [condition("Created", "JobCreated"), condition("Running", "Training")]
    after = [*before[:1], condition("Running", "Succeeded"), condition("Complete", "Succeeded")]
    assert [finding.reason for finding in news(before, after)] == ["Succeeded"]
    assert [finding.reason for finding in news([], before)] == ["JobCreated", "Training"]
    assert news(after, after) == []


def test_events_of_trouble_are_warnings() -> None:
    def kind(reason: Reason) -> str:
        return str(event(RESOURCE, Finding(reason, "m"), instance="i", now="2026-01-01T00:00:00Z")["type"])

    assert (kind(Reason.TRAINING), kind(Reason.OUT_OF_MEMORY)) == ("Normal", "Warning")


def test_objects_are_counted_by_state_until_they_are_gone() -> None:
    metrics = Metrics()
    metrics.watch(depth=lambda: 3)
    for name, state in (("a", "Running"), ("b", "Running"), ("c", "Complete"), ("c", None)):
        metrics.state(Key("TrainingJob", "team", name), state)
    with metrics.timed("TrainingJob"):
        metrics.count("TrainingJob", "ok")
    lines = generate_latest(metrics.registry).decode().splitlines()
    assert 'vaka_trainingjobs{state="Running"} 2.0' in lines
    assert not any('state="Complete"' in line for line in lines)
    assert "vaka_operator_queue_depth 3.0" in lines
    assert 'vaka_operator_reconcile_total{kind="TrainingJob",result="ok"} 1.0' in lines
    assert 'vaka_operator_reconcile_duration_seconds_count{kind="TrainingJob"} 1.0' in lines

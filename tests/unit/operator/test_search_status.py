"""What a search's status tells of its trials."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.search import MAX_TRIALS, VALUES_KEPT, TrialStatus, trial_name
from vaka.api.trainingjob import TrainingJob, TrainingJobSpec
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka.search.study import Trial
from vaka_operator.manifests.meta import Owner
from vaka_operator.manifests.trial import trial_job
from vaka_operator.status.searches import Seen, status_of
from vaka_operator.status.trials import noted

JSON = dict[str, Any]
NOW = "2026-01-01T12:00:00Z"
SEARCH = {"maxTrials": 4, "parameters": [{"name": "width", "min": 8, "max": 64}]}
NAME = "digits-trial-001"


def job(state: str = "Running", *, reason: str = "Training", epoch: int = 0, **metrics: float) -> TrainingJob:
    """A trial whose newest condition is this."""
    kind = "Running" if state == "Pending" else state
    holds = "False" if state == "Pending" else "True"
    told = {"type": kind, "status": holds, "reason": reason, "message": "m", "lastTransitionTime": NOW}
    values = [{"name": name, "value": str(value)} for name, value in metrics.items()]
    status: JSON = {"state": reason if state == "Pending" else state, "conditions": [told]}
    status["trainerStatus"] = {"epoch": epoch, "metrics": values}
    if state == "Complete":
        status["model"] = {"uri": f"pvc://{NAME}", "digest": "sha256:1", "metrics": values}
    spec = {"model": {"architecture": "cnn", "hyperparameters": {"width": 8, "epochs": 2}}}
    return msgspec.convert(
        {"spec": spec | {"dataset": {"storageUri": "pkg://mnist"}}, "status": status}, TrainingJob
    )


def note(before: list[TrialStatus], job: TrainingJob | None) -> TrialStatus:
    jobs = {NAME: job} if job else {}
    (trial,) = noted(before, jobs, names=["width"], metric="accuracy")
    return trial


@pytest.fixture
def seen(job_spec: Callable[..., TrainingJobSpec]) -> Callable[..., Seen]:
    def make(*jobs: TrainingJob, search: JSON = SEARCH, **fields: Any) -> Seen:
        spec = job_spec(search=search, **fields.pop("spec", {}))
        assert spec.search
        there = {trial_name("digits", number): job for number, job in enumerate(jobs, 1)}
        given: JSON = {
            "name": "digits",
            "spec": spec,
            "search": spec.search,
            "metric": "accuracy",
            "previous": TrainingJobStatus(start_time=NOW),
            "generation": 1,
            "now": NOW,
            "jobs": there,
            "trials": noted([], there, names=["width"], metric="accuracy"),
        }
        return Seen(**given | fields)

    return make


def test_values_by_epoch_are_gathered_while_a_trial_runs() -> None:
    first = note([], job(epoch=1, accuracy=0.5))
    assert first.hyperparameters == {"width": 8}
    second = note([first], job(epoch=2, accuracy=0.6))
    again = note([second], job(epoch=2, accuracy=0.7))
    assert again.values == {"1": "0.5", "2": "0.7"}
    ended = note([again], job("Complete", reason="Succeeded", epoch=3, accuracy=0.9))
    assert (ended.state, ended.value, ended.values["3"]) == ("Succeeded", "0.9", "0.9")


@given(epochs=st.integers(1, 400), missed=st.sets(st.integers(1, 400)))
def test_of_many_values_some_are_kept_and_the_same_of_every_trial(epochs: int, missed: set[int]) -> None:
    trial: list[TrialStatus] = []
    every: list[TrialStatus] = []
    for epoch in range(1, epochs + 1):
        every = [note(every, job(epoch=epoch, accuracy=0.5))]
        if epoch not in missed:
            trial = [note(trial, job(epoch=epoch, accuracy=0.5))]
    for found in (*trial, *every):
        assert len(found.values) <= VALUES_KEPT
    if epochs > VALUES_KEPT:
        assert len(every[0].values) >= VALUES_KEPT // 2


def test_a_status_of_as_many_trials_as_there_may_be_is_small_enough_for_etcd() -> None:
    values = {str(epoch): "0.987654" for epoch in range(100_000, 100_000 + VALUES_KEPT)}
    trial = TrialStatus(
        name="x" * 52,
        state="Failed",
        hyperparameters={"x" * 30 + str(n): 0.1234567890123456 for n in range(8)},
        values=values,
        message="x" * 300,
    )
    assert len(json.dumps(msgspec.to_builtins(trial))) * MAX_TRIALS < 500_000


def test_what_is_noted_outlives_the_trial() -> None:
    done = note([], job("Complete", reason="Succeeded", accuracy=0.9))
    assert note([done], None) == done
    lost = note([note([], job())], None)
    assert (lost.state, lost.reason) == ("Failed", "ResultUnknown")


def test_a_trial_that_is_stopped_counts_unless_it_ended_well_before_it_was() -> None:
    pruned = msgspec.structs.replace(note([], job()), state="Pruned", reason="Pruned")
    assert note([pruned], job()) == pruned
    assert note([pruned], job("Failed", reason="Pruned")).state == "Pruned"
    assert note([pruned], job("Complete", reason="Succeeded", accuracy=0.9)).state == "Succeeded"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_no_success(value: float) -> None:
    trial = note([], job("Complete", reason="Succeeded", accuracy=value))
    assert trial.state == "Failed"
    assert "no finite accuracy" in (trial.message or "")


def test_a_search_runs_while_one_of_its_trials_does(seen: Callable[..., Seen]) -> None:
    stuck = job("Pending", reason="Unschedulable")
    status, _ = status_of(seen(job("Complete", reason="Succeeded", accuracy=0.5), job(), stuck))
    assert (status.state, status.progress, status.metric) == ("Running", "25%", "accuracy=0.5")
    (told,) = [c.message for c in status.conditions if c.type == "Running"]
    assert told == "1 of 4 trials have ended, 2 are under way, best accuracy=0.5 (digits-trial-001)"


def test_a_search_whose_trials_all_wait_says_what_for(seen: Callable[..., Seen]) -> None:
    status, _ = status_of(
        seen(job("Pending", reason="Unschedulable"), job("Pending", reason="Unschedulable"))
    )
    assert status.state == "Unschedulable"
    (told,) = [c.message for c in status.conditions if c.type == "Running"]
    assert told == "digits-trial-001: m"


def test_a_trial_inherits_all_but_what_is_the_searchs_own(
    owner: Owner, job_spec: Callable[..., TrainingJobSpec]
) -> None:
    fields = {
        "search": SEARCH,
        "suspend": True,
        "activeDeadlineSeconds": 9,
        "ttlSecondsAfterFinished": 9,
        "queueName": "team",
        "backoffLimit": 1,
        "trainer": {"image": "mine"},
        "model": {"architecture": "cnn", "hyperparameters": {"epochs": 2}},
        "output": {"storageUri": "pvc://models", "size": "2Gi"},
    }
    made = trial_job(owner, job_spec(**fields), Trial(number=7, parameters={"width": 9}))
    assert made["metadata"]["name"] == "digits-trial-007"
    assert made["metadata"]["ownerReferences"] == [owner.reference]
    assert made["spec"] == {
        "model": {"architecture": "cnn", "hyperparameters": {"epochs": 2, "width": 9}},
        "dataset": {"storageUri": "pkg://mnist"},
        "trainer": {"image": "mine"},
        "output": {"storageUri": "pvc://models/digits/trial-007", "size": "2Gi"},
        "backoffLimit": 1,
        "queueName": "team",
    }

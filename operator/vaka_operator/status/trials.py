"""What is known of a search's trials: their TrainingJobs as they are, and what was noted of them before."""

import math
from collections.abc import Iterable, Mapping

import msgspec

from vaka.api.reasons import Reason
from vaka.api.search import VALUES_KEPT, TrialStatus, trial_number
from vaka.api.trainingjob import TrainingJob
from vaka.api.trainingjobstatus import FailureStatus, TrainingJobStatus
from vaka.api.types import Metric
from vaka.search.study import UNDER_WAY, State, Trial
from vaka_operator.status.conditions import Claim, Finding, conditions, find, is_true
from vaka_operator.status.verdict import Stage

LONGEST_MESSAGE = 300
"""The parent's status tells of many trials; their own tell more."""


def is_over(job: TrainingJob) -> bool:
    """Whether a trial has ended for good."""
    conditions = job.status.conditions if job.status else []
    return is_true(conditions, "Complete") or is_true(conditions, "Failed")


def noted(
    before: Iterable[TrialStatus], jobs: Mapping[str, TrainingJob], *, names: Iterable[str], metric: str
) -> list[TrialStatus]:
    """Every trial by its number, whether its TrainingJob is still there or not.

    Args:
        before: what was noted last time.
        jobs: the TrainingJobs of the trials that are there.
        names: of the hyper-parameters that are searched.
        metric: what trials are compared by.
    """
    known = {trial.name: trial for trial in before}
    trials = [
        _of_job(known.get(name) or _new(name, job, names), job, metric)
        if (job := jobs.get(name))
        else _of_none(known[name])
        for name in known.keys() | jobs.keys()
    ]
    return sorted(trials, key=lambda trial: trial_number(trial.name))


def marked(trial: TrialStatus, state: State, finding: Finding) -> TrialStatus:
    """The trial as one that has failed or is to be stopped."""
    message = finding.message[:LONGEST_MESSAGE]
    return msgspec.structs.replace(trial, state=state, value=None, reason=finding.reason, message=message)


def as_trial(trial: TrialStatus, *, alive: bool) -> Trial:
    """The trial as the search reckons with it."""
    return Trial(
        number=trial_number(trial.name),
        parameters=trial.hyperparameters,
        state=State(trial.state),
        value=_number(trial.value),
        values={int(epoch): float(value) for epoch, value in trial.values.items()},
        alive=alive,
    )


def _new(name: str, job: TrainingJob, names: Iterable[str]) -> TrialStatus:
    given = job.spec.model.hyperparameters
    searched = {name: given[name] for name in names if name in given}
    return TrialStatus(name=name, state=State.PENDING, hyperparameters=searched)


def _of_none(trial: TrialStatus) -> TrialStatus:
    if trial.state not in UNDER_WAY:
        return trial
    lost = Finding(Reason.RESULT_UNKNOWN, "its TrainingJob was deleted before it had ended")
    return marked(trial, State.FAILED, lost)


def _of_job(trial: TrialStatus, job: TrainingJob, metric: str) -> TrialStatus:
    status = job.status or TrainingJobStatus()
    if is_over(job):
        return _ended(trial, status, metric)
    if trial.state not in UNDER_WAY:
        return trial  # it is being stopped
    running = is_true(status.conditions, "Running")
    state = State.RUNNING if running else State.PENDING
    return msgspec.structs.replace(trial, state=state, values=_values(trial, status, metric))


def _ended(trial: TrialStatus, status: TrainingJobStatus, metric: str) -> TrialStatus:
    if failed := find(status.conditions, "Failed"):
        state = State.PRUNED if failed.reason == Reason.PRUNED else State.FAILED
        told = status.failure.message if status.failure else failed.message
        return marked(trial, state, Finding(Reason(failed.reason), told))
    metrics = status.model.metrics if status.model else []
    metrics = metrics or (status.trainer_status.metrics if status.trainer_status else [])
    value = _find(metrics, metric)
    if value is None:
        known = ", ".join(m.name for m in metrics) or "none"
        told = f"it has no finite {metric}, by which trials are compared; it reports {known}"
        return marked(trial, State.FAILED, Finding(Reason.RESULT_UNKNOWN, told))
    values = _values(trial, status, metric)
    return msgspec.structs.replace(
        trial, state=State.SUCCEEDED, value=value, values=values, reason=None, message=None
    )


def _values(trial: TrialStatus, status: TrainingJobStatus, metric: str) -> dict[str, str]:
    """The values by epoch with the newest; of many, those at multiples of a power of two."""
    now = status.trainer_status
    value = _find(now.metrics, metric) if now else None
    if now is None or not now.epoch or value is None:
        return trial.values
    values, every = trial.values | {str(now.epoch): value}, 1
    while len(values) > VALUES_KEPT:
        every *= 2
        values = {epoch: value for epoch, value in values.items() if int(epoch) % every == 0}
    return values


def _find(metrics: Iterable[Metric], name: str) -> str | None:
    """The metric's value, if it is a finite number."""
    return next((m.value for m in metrics if m.name == name and _number(m.value) is not None), None)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def stopped(
    previous: TrainingJobStatus, finding: Finding, *, generation: int, now: str, over: bool
) -> TrainingJobStatus:
    """The status of a trial that its search stops: while its pods end, and once they have."""
    claims = [Claim(type="Running", holds=False, finding=finding)]
    claims += [Claim(type="Failed", holds=True, finding=finding)] if over else []
    told = conditions(previous.conditions, claims, generation=generation, now=now)
    kept = [c for c in previous.conditions if c.type not in {claim.type for claim in claims}]
    return msgspec.structs.replace(
        previous,
        observed_generation=generation,
        state=Stage.FAILED if over else finding.reason,
        conditions=[*kept, *told],
        completion_time=now if over else None,
        eta=None,
        failure=FailureStatus(reason=finding.reason, message=finding.message) if over else None,
    )

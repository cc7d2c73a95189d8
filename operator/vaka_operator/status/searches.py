"""The status of a TrainingJob that searches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from vaka.api.reasons import Reason
from vaka.api.search import BestTrial, SearchSpec, SearchStatus, TrialStatus, trial_name
from vaka.api.trainingjob import TrainingJob, TrainingJobSpec
from vaka.api.trainingjobstatus import FailureStatus, ModelStatus, TrainerStatus, TrainingJobStatus
from vaka.api.types import Metric
from vaka.search.study import State, Trial, best_of
from vaka_operator.status import columns
from vaka_operator.status.conditions import Claim, Finding, conditions, find
from vaka_operator.status.trials import as_trial, is_over
from vaka_operator.status.verdict import Stage, Verdict

_MADE = Finding(Reason.CREATED, "the trials are made one after the other")
_HELD = (Stage.SUSPENDED, Reason.INVALID_SPEC, Reason.OBJECT_REFUSED, Reason.NAME_TAKEN)
"""States of a trial that has no pods."""
_RESUMED = Finding(Reason.RESUMED, "spec.suspend is false")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a search and its trials at one moment."""

    name: str
    spec: TrainingJobSpec
    search: SearchSpec
    metric: str
    """What trials are compared by."""
    previous: TrainingJobStatus
    generation: int
    now: str
    trials: Sequence[TrialStatus] = ()
    jobs: Mapping[str, TrainingJob] = field(default_factory=dict)
    """Those of the trials that are there."""
    refusal: Finding | None = None
    """Why no trial can be made."""

    @cached_property
    def alive(self) -> list[str]:
        """The trials that have not ended yet."""
        return [name for name, job in self.jobs.items() if not is_over(job)]

    @property
    def reckoned(self) -> list[Trial]:
        return [as_trial(trial, alive=trial.name in self.alive) for trial in self.trials]

    @property
    def seconds_left(self) -> float | None:
        """Until the deadline, None where there is none; being suspended starts the count anew."""
        limit, began = self.spec.active_deadline_seconds, self.previous.start_time
        held = find(self.previous.conditions, "Suspended")
        if limit is None or began is None or self.spec.suspend or (held and held.status == "True"):
            return None
        since = max(began, held.last_transition_time) if held else began
        return limit - (datetime.fromisoformat(self.now) - datetime.fromisoformat(since)).total_seconds()

    @property
    def late(self) -> bool:
        return self.seconds_left is not None and self.seconds_left <= 0


def status_of(seen: Seen) -> tuple[TrainingJobStatus, Verdict]:
    """The status that tells what was seen, and the verdict that it states."""
    search = _search_status(seen)
    best = search.best_trial
    verdict = _judge(seen, best)
    percentage = 100 if verdict.stage is Stage.COMPLETE else _percentage(seen)
    metrics = [Metric(name=seen.metric, value=best.value)] if best else []
    waits = verdict.stage is Stage.WAITING
    complete = verdict.stage is Stage.COMPLETE
    status = TrainingJobStatus(
        observed_generation=seen.generation,
        state=verdict.finding.reason if waits else verdict.stage,
        conditions=conditions(
            seen.previous.conditions, _claims(seen, verdict), generation=seen.generation, now=seen.now
        ),
        start_time=seen.previous.start_time or _begins(seen, verdict),
        completion_time=verdict.ended_at,
        progress=columns.progress(percentage),
        metric=columns.metric(metrics),
        trainer_status=TrainerStatus(progress_percentage=percentage, metrics=metrics),
        model=_model(best) if complete and best else None,
        failure=verdict.failure,
        search=search,
    )
    return status, verdict


def _begins(seen: Seen, verdict: Verdict) -> str | None:
    """It is noted before the first trial is made: from then on, what is searched cannot be changed."""
    held = verdict.stage is Stage.SUSPENDED or seen.refusal
    return None if held else seen.now


def _search_status(seen: Seen) -> SearchStatus:
    states = [trial.state for trial in seen.trials]
    return SearchStatus(
        total=len(states),
        running=states.count(State.RUNNING),
        succeeded=states.count(State.SUCCEEDED),
        failed=states.count(State.FAILED),
        pruned=states.count(State.PRUNED),
        best_trial=_best(seen),
        trials=list(seen.trials),
    )


def _best(seen: Seen) -> BestTrial | None:
    """The best trial so far; its model is noted at once, for its TrainingJob may be deleted."""
    best = best_of(seen.search, seen.reckoned)
    if best is None:
        return None
    name = trial_name(seen.name, best.number)
    before = seen.previous.search.best_trial if seen.previous.search else None
    job = seen.jobs.get(name)
    if job is None and before and before.name == name:
        return before
    model = job.status.model if job and job.status else None
    return BestTrial(
        name=name,
        value=next(trial.value or "" for trial in seen.trials if trial.name == name),
        hyperparameters=job.spec.model.hyperparameters if job else best.parameters,
        uri=model.uri if model else None,
        digest=model.digest if model else None,
        metrics=model.metrics if model else [],
    )


def _model(best: BestTrial) -> ModelStatus | None:
    if best.uri is None or best.digest is None:
        return None
    return ModelStatus(uri=best.uri, digest=best.digest, metrics=best.metrics)


def _judge(seen: Seen, best: BestTrial | None) -> Verdict:
    """The one thing that is true of the search now."""
    if not seen.alive and (seen.late or len(seen.trials) >= seen.search.max_trials):
        return _over(seen, best)
    if seen.refusal and not seen.alive:
        return Verdict(stage=Stage.WAITING, finding=seen.refusal)
    if seen.spec.suspend:
        return _held(seen)
    states = {trial.state for trial in seen.trials}
    if State.RUNNING in states or State.PENDING not in states:
        stage = Stage.RUNNING if seen.trials else Stage.WAITING
        reason = Reason.SEARCHING if seen.trials else Reason.CREATED
        return Verdict(stage=stage, finding=Finding(reason, _summary(seen, best)))
    return Verdict(stage=Stage.WAITING, finding=_obstacle(seen))


def _summary(seen: Seen, best: BestTrial | None) -> str:
    ended = len(seen.trials) - len(seen.alive)
    told = f"{ended} of {seen.search.max_trials} trials have ended, {len(seen.alive)} are under way"
    waits = f"; the next cannot be made: {seen.refusal.message}" if seen.refusal else ""
    return f"{told}{_named(seen, best)}{waits}"


def _named(seen: Seen, best: BestTrial | None) -> str:
    if best is None:
        return ""
    return f", best {columns.metric([Metric(name=seen.metric, value=best.value)])} ({best.name})"


def _held(seen: Seen) -> Verdict:
    """Suspended once every trial is, or has ended."""
    states = [status.state if (status := seen.jobs[name].status) else None for name in seen.alive]
    stopping = [state for state in states if state not in _HELD]
    if stopping:
        told = f"spec.suspend is true: {len(stopping)} trials write a checkpoint and end"
        return Verdict(stage=Stage.WAITING, finding=Finding(Reason.STOPPING, told))
    told = "spec.suspend is true: set it to false to go on with the search"
    return Verdict(stage=Stage.SUSPENDED, finding=Finding(Reason.SUSPENDED, told))


def _obstacle(seen: Seen) -> Finding:
    """What holds up the first of the trials, none of which runs."""
    name = min(trial.name for trial in seen.trials if trial.state == State.PENDING)
    status = seen.jobs[name].status
    why = find(status.conditions, "Running") if status else None
    if why is None:
        return Finding(Reason.CREATED, f"{name} is made, its Job follows")
    return Finding(Reason(why.reason), f"{name}: {why.message}")


def _over(seen: Seen, best: BestTrial | None) -> Verdict:
    if best is None:
        return _failed(seen)
    where = f"; its model is at {best.uri}" if best.uri else ""
    late = f"activeDeadlineSeconds, {seen.spec.active_deadline_seconds} s, are over: " if seen.late else ""
    told = (
        f"{late}{len(seen.trials)} of {seen.search.max_trials} trials have ended{_named(seen, best)}{where}"
    )
    finding = Finding(Reason.SUCCEEDED, told)
    return Verdict(stage=Stage.COMPLETE, finding=finding, ended_at=seen.now)


def _failed(seen: Seen) -> Verdict:
    """Every reason, with the first trial that gives it."""
    reasons: dict[str, list[TrialStatus]] = {}
    for trial in seen.trials:
        reasons.setdefault(trial.reason or trial.state, []).append(trial)
    listed = [
        f"{reason} ({len(trials)}), as {trials[0].name}: {trials[0].message or ''}"
        for reason, trials in reasons.items()
    ]
    late = seen.late and reasons.keys() <= {Reason.DEADLINE_EXCEEDED}
    reason = Reason.DEADLINE_EXCEEDED if late else Reason.TRIALS_FAILED
    told = f"none of {len(seen.trials)} trials succeeded: {'; '.join(listed)}"
    failure = FailureStatus(reason=reason, message=told)
    return Verdict(stage=Stage.FAILED, finding=Finding(reason, told), failure=failure, ended_at=seen.now)


def _percentage(seen: Seen) -> int:
    """Of the trials that may be made: those that have ended count in full."""
    done = sum(100 for trial in seen.trials if trial.name not in seen.alive)
    for name in seen.alive:
        status = seen.jobs[name].status
        done += (status.trainer_status.progress_percentage or 0) if status and status.trainer_status else 0
    return min(99, done // max(seen.search.max_trials, len(seen.trials)))


def _claims(seen: Seen, verdict: Verdict) -> list[Claim]:
    """Created and Running always tell the present; the others appear when they hold first, and stay."""
    stage, finding = verdict.stage, verdict.finding
    made = bool(seen.trials)
    claims = [
        Claim(type="Created", holds=made, finding=_MADE if made else finding),
        Claim(type="Running", holds=stage is Stage.RUNNING, finding=finding),
    ]
    if stage is Stage.SUSPENDED or find(seen.previous.conditions, "Suspended"):
        past = finding if seen.spec.suspend else _RESUMED
        claims.append(Claim(type="Suspended", holds=stage is Stage.SUSPENDED, finding=past))
    if stage in (Stage.COMPLETE, Stage.FAILED):
        claims.append(Claim(type=stage, holds=True, finding=finding))
    return claims

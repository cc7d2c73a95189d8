"""The status of a TrainingJob."""

import msgspec

from vaka.api.contract import Report
from vaka.api.reasons import Reason
from vaka.api.trainingjobstatus import ModelStatus, TrainerStatus, TrainingJobStatus
from vaka_operator.manifests.job import TRAINER
from vaka_operator.status import columns, pods
from vaka_operator.status.checkpoints import checkpoint
from vaka_operator.status.conditions import Claim, Finding, conditions, find, is_true
from vaka_operator.status.jobs import attempts_before, failing, judge
from vaka_operator.status.verdict import Seen, Stage, Verdict

_MADE = Finding(Reason.CREATED, "the Job is made")
_RESUMED = Finding(Reason.RESUMED, "spec.suspend is false")
_ADMITTED = Finding(Reason.ADMITTED, "the queue has admitted it")


def is_final(status: TrainingJobStatus | None) -> bool:
    """Whether the job has ended for good: nothing about it changes any more."""
    return status is not None and any(is_true(status.conditions, end) for end in ("Complete", "Failed"))


def status_of(seen: Seen) -> tuple[TrainingJobStatus, Verdict]:
    """The status that tells what was seen, and the verdict that it states."""
    verdict = judge(seen)
    trainer = _trainer_status(seen, verdict)
    running = verdict.stage is Stage.RUNNING
    status = TrainingJobStatus(
        observed_generation=seen.generation,
        state=_state(verdict),
        conditions=conditions(
            seen.previous.conditions, _claims(seen, verdict), generation=seen.generation, now=seen.now
        ),
        start_time=_start_time(seen, verdict),
        completion_time=verdict.ended_at,
        restarts=_restarts(seen, verdict),
        progress=columns.progress(trainer.progress_percentage) if trainer else None,
        eta=columns.eta(trainer.estimated_remaining_seconds) if trainer and running else None,
        metric=columns.metric(trainer.metrics) if trainer else None,
        trainer_status=trainer,
        checkpoint=checkpoint(seen),
        model=_model(seen, verdict),
        failure=verdict.failure,
    )
    return status, verdict


def _state(verdict: Verdict) -> str:
    return verdict.finding.reason if verdict.stage is Stage.WAITING else verdict.stage


def _claims(seen: Seen, verdict: Verdict) -> list[Claim]:
    """Created and Running always tell the present; the others appear when they hold first, and stay."""
    stage, finding = verdict.stage, verdict.finding
    made = seen.job is not None
    claims = [
        Claim(type="Created", holds=made, finding=_MADE if made else finding),
        Claim(type="Running", holds=stage is Stage.RUNNING, finding=finding),
    ]
    admitted = made and not seen.spec.suspend
    past = {
        Stage.QUEUED: _ADMITTED if admitted else finding,
        Stage.RESTARTING: finding,
        Stage.SUSPENDED: finding if seen.spec.suspend else _RESUMED,
    }
    for kind, over in past.items():
        if stage is kind:
            claims.append(Claim(type=kind, holds=True, finding=finding))
        elif find(seen.previous.conditions, kind):
            claims.append(Claim(type=kind, holds=False, finding=over))
    if stage in (Stage.COMPLETE, Stage.FAILED):
        claims.append(Claim(type=stage, holds=True, finding=finding))
    return claims


def _start_time(seen: Seen, verdict: Verdict) -> str | None:
    """When training began: from then on, what is trained cannot be changed any more."""
    if seen.previous.start_time:
        return seen.previous.start_time
    began = verdict.finding.reason in (Reason.TRAINING, Reason.PUBLISHING)
    if verdict.stage is Stage.RUNNING and began:
        since = [time for pod in seen.group.running if (time := pods.running_since(pod, TRAINER))]
        return min(since, default=seen.now)
    return _job_start(seen) if verdict.ended_at or checkpoint(seen) else None


def _job_start(seen: Seen) -> str:
    return str((seen.job or {}).get("status", {}).get("startTime", seen.now))


def _restarts(seen: Seen, verdict: Verdict) -> int | None:
    """Attempts after the first."""
    count = attempts_before(seen)
    over = verdict.stage is Stage.FAILED or failing(seen) is not None
    last_was_final = over and count > 0
    return max(count - last_was_final, seen.previous.restarts or 0) or None


def _trainer_status(seen: Seen, verdict: Verdict) -> TrainerStatus | None:
    """What the trainer said last; a report with impossible numbers is not passed on."""
    if verdict.report is None:
        return seen.previous.trainer_status
    try:
        return msgspec.convert(_numbers(verdict.report, done=verdict.stage is Stage.COMPLETE), TrainerStatus)
    except msgspec.ValidationError:
        return seen.previous.trainer_status


def _numbers(report: Report, *, done: bool) -> dict[str, object]:
    given = {
        "progressPercentage": 100 if done else report.progress_percentage,
        "estimatedRemainingSeconds": None if done else report.estimated_remaining_seconds,
        "step": report.step,
        "epoch": report.epoch,
        "metrics": msgspec.to_builtins(report.model.metrics if done and report.model else report.metrics),
    }
    return {name: value for name, value in given.items() if value is not None}


def _model(seen: Seen, verdict: Verdict) -> ModelStatus | None:
    published = verdict.report.model if verdict.report else None
    if verdict.stage is not Stage.COMPLETE or published is None:
        return None
    return ModelStatus(uri=seen.public_output, digest=published.digest, metrics=published.metrics)

"""How the Job of a TrainingJob fares: one verdict from what it and its pods show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vaka.api.contract import Report
from vaka.api.reasons import Reason
from vaka.api.trainingjob import FailureStatus, TrainingJobSpec, TrainingJobStatus
from vaka_operator.manifests.job import TRAINER
from vaka_operator.manifests.meta import JSON
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding, find


class Stage(StrEnum):
    WAITING = "Waiting"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a TrainingJob and its children at one moment."""

    spec: TrainingJobSpec
    previous: TrainingJobStatus
    public_output: str
    generation: int
    now: str
    job: JSON | None = None
    pods: Sequence[JSON] = ()
    claims: Mapping[str, JSON | None] = field(default_factory=dict)
    """The claims that the pod mounts; None for one that does not exist."""
    events: Sequence[JSON] = ()
    """Of the newest pod, or of the Job where it has none; newest first."""
    report: Report | None = None
    """Of the pod that runs."""
    refusal: Finding | None = None
    """Why the Job could not be made."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    stage: Stage
    finding: Finding
    report: Report | None = None
    failure: FailureStatus | None = None
    ended_at: str | None = None


_ENDING = Finding(Reason.PUBLISHING, "the trainer has ended, its Job is about to complete")


def judge(seen: Seen) -> Verdict:
    """The one thing that is true of a TrainingJob now."""
    return (
        _finished(seen)
        or _refused(seen)
        or _suspended(seen)
        or _running(seen)
        or _restarting(seen)
        or Verdict(stage=Stage.WAITING, finding=_obstacle(seen))
    )


def has_begun(
    previous: TrainingJobStatus, *, job: JSON | None, pods: Sequence[JSON], report: Report | None
) -> bool:
    """Whether there is work that would be lost if the Job were made anew.

    A trainer that waits has done none; one that does not answer may have, also where nobody was there to
    note when it began.
    """
    if previous.start_time or (job and _end_of(job)):
        return True
    pod = podstatus.newest(pods)
    if pod is None:
        return False
    if podstatus.running_since(pod, TRAINER):
        return report is None or not report.waiting
    return podstatus.phase(pod) == "Succeeded"


def failures(seen: Seen) -> int:
    """How many pods have failed, as far as anyone still knows."""
    counted = int(seen.job.get("status", {}).get("failed", 0)) if seen.job else 0
    return max(counted, sum(podstatus.phase(pod) == "Failed" for pod in seen.pods))


def _finished(seen: Seen) -> Verdict | None:
    end = _end_of(seen.job) if seen.job else None
    if end is None:
        return None
    return _complete(seen, end) if end["type"] == "Complete" else _failed(seen, end)


def _end_of(job: JSON) -> JSON | None:
    """The condition by which a Job has ended, whichever way."""
    conditions = job.get("status", {}).get("conditions", [])
    ends = (c for c in conditions if c["status"] == "True" and c["type"] in ("Complete", "Failed"))
    return next(ends, None)


def _complete(seen: Seen, condition: JSON) -> Verdict:
    """The model counts only where its digest is known: nothing else says that it is whole."""
    ended_at = condition.get("lastTransitionTime", seen.now)
    ended = _last_ended(seen, phase="Succeeded")
    report = ended.report if ended else None
    if report and report.model:
        published = Finding(Reason.SUCCEEDED, f"the model is published at {seen.public_output}")
        return Verdict(stage=Stage.COMPLETE, finding=published, report=report, ended_at=ended_at)
    why = (
        "left no report of it: does its image run vaka.training?"
        if ended
        else ("its pod was removed before its report could be read")
    )
    message = (
        f"the trainer ended well, but {why}. A model may be at {seen.public_output}: serve it by its "
        "storageUri, or delete this job and create it anew"
    )
    return _failure(Finding(Reason.RESULT_UNKNOWN, message), ended, ended_at)


def _failed(seen: Seen, condition: JSON) -> Verdict:
    ended = _last_ended(seen, phase="Failed")
    ended_at = condition.get("lastTransitionTime", seen.now)
    match condition.get("reason"):
        case "DeadlineExceeded":
            limit = seen.spec.active_deadline_seconds
            told = f"it did not end within spec.activeDeadlineSeconds, {limit} s: allow more, or train less"
            return _failure(Finding(Reason.DEADLINE_EXCEEDED, told), None, ended_at)
        case "BackoffLimitExceeded" if seen.spec.backoff_limit:
            last = f": the last, {ended.pod}: {ended.finding.message}" if ended else ""
            told = f"{seen.spec.backoff_limit + 1} pods failed, which is more than spec.backoffLimit{last}"
            return _failure(Finding(Reason.BACKOFF_LIMIT_EXCEEDED, told), ended, ended_at)
    unknown = Finding(Reason.TRAINER_FAILED, condition.get("message", "the Job failed"))
    return _failure(ended.finding if ended else unknown, ended, ended_at)


def _failure(finding: Finding, ended: podstatus.Ended | None, ended_at: str) -> Verdict:
    """The condition says what became of the job, the failure what became of its last pod."""
    cause = ended.finding if ended and finding.reason is not Reason.RESULT_UNKNOWN else finding
    failure = FailureStatus(
        reason=cause.reason,
        message=cause.message,
        pod=ended.pod if ended else None,
        exit_code=ended.exit_code if ended else None,
    )
    return Verdict(
        stage=Stage.FAILED,
        finding=finding,
        failure=failure,
        report=ended.report if ended else None,
        ended_at=ended_at,
    )


def _refused(seen: Seen) -> Verdict | None:
    return Verdict(stage=Stage.WAITING, finding=seen.refusal) if seen.refusal else None


def _suspended(seen: Seen) -> Verdict | None:
    """Suspended once no pod is left: while one still stops, it trains or saves."""
    if not seen.spec.suspend or any(podstatus.phase(p) in ("Pending", "Running") for p in seen.pods):
        return None
    told = "spec.suspend is true: set it to false to train"
    return Verdict(stage=Stage.SUSPENDED, finding=Finding(Reason.SUSPENDED, told))


def _running(seen: Seen) -> Verdict | None:
    pod = podstatus.newest(seen.pods)
    if pod is None:
        return None
    if podstatus.running_since(pod, TRAINER):
        return _reported(seen)
    ended = podstatus.ending(pod, TRAINER)
    if ended and ended.exit_code == 0:
        return Verdict(stage=Stage.RUNNING, finding=_ENDING, report=ended.report)
    return None


def _reported(seen: Seen) -> Verdict:
    if seen.report is None:
        return _as_before(seen)
    word = podstatus.reason(seen.report.reason, Reason.TRAINING)
    stage = Stage.WAITING if seen.report.waiting else Stage.RUNNING
    message = seen.report.message or f"the trainer reports {word}"
    return Verdict(stage=stage, finding=Finding(word, message), report=seen.report)


def _as_before(seen: Seen) -> Verdict:
    """A trainer that is too busy to answer once goes on with what it did."""
    before = find(seen.previous.conditions, "Running")
    if before is None or before.reason not in podstatus.UNDER_WAY:
        return Verdict(stage=Stage.RUNNING, finding=Finding(Reason.STARTING, "the trainer starts"))
    stage = Stage.RUNNING if before.status == "True" else Stage.WAITING
    return Verdict(stage=stage, finding=Finding(Reason(before.reason), before.message))


def _restarting(seen: Seen) -> Verdict | None:
    """The pod failed and another attempt follows, unless the next pod is held up by something of its own."""
    attempt = failures(seen) + 1
    if attempt == 1:
        return None
    pod = podstatus.newest(seen.pods)
    next_exists = pod is not None and podstatus.phase(pod) == "Pending" and not podstatus.is_going(pod)
    if next_exists and _obstacle(seen) != podstatus.STARTING:
        return None
    ended = _last_ended(seen, phase="Failed")
    cause = f": {ended.pod} failed: {ended.finding.message}" if ended else ""
    told = f"attempt {attempt} of {seen.spec.backoff_limit + 1} follows{cause}"
    return Verdict(stage=Stage.RESTARTING, finding=Finding(Reason.RESTARTING, told))


def _obstacle(seen: Seen) -> Finding:
    pod = podstatus.newest(seen.pods)
    if pod is not None:
        return podstatus.obstacle(pod, claims=seen.claims, events=seen.events)
    last = seen.events[0] if seen.events else {}
    if last.get("reason") == "FailedCreate":
        return Finding(Reason.POD_REFUSED, f"the namespace refuses the pod: {last.get('note', '')}")
    return Finding(Reason.CREATED, "the Job is made, its pod follows")


def _last_ended(seen: Seen, *, phase: str) -> podstatus.Ended | None:
    pod = podstatus.newest(p for p in seen.pods if podstatus.phase(p) == phase)
    return podstatus.ending(pod, TRAINER) if pod else None

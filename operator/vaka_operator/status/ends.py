"""How a TrainingJob has ended."""

from vaka.api.reasons import Reason
from vaka.api.trainingjob import CUSTOM
from vaka.api.trainingjobstatus import FailureStatus
from vaka_operator.manifests.job import TRAINER
from vaka_operator.manifests.meta import JSON
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding
from vaka_operator.status.verdict import Seen, Stage, Verdict


def finished(seen: Seen) -> Verdict | None:
    """Complete or failed for good, as its Job is; what has been published stays so, whatever a Job says.

    A deadline may strike, or a node be lost, in the second in which the trainer ends.
    """
    if end := seen.condition("Complete"):
        return _complete(seen, end)
    if end := seen.condition("Failed"):
        return _complete(seen, end) if published(seen) else _failed(seen, end)
    return None


def published(seen: Seen) -> podstatus.Ended | None:
    """How the pod ended that has done all there was to do.

    The model counts only where its digest is known: nothing else says that it is whole. A container of
    somebody's own may end well without a word.
    """
    ends = [end for pod in seen.pods if (end := podstatus.ending(pod, TRAINER))]
    known = [end for end in ends if end.report and end.report.model]
    well = [end for end in ends if end.exit_code == 0 and seen.spec.model.architecture == CUSTOM]
    return next(iter([*known, *well]), None)


def _complete(seen: Seen, condition: JSON) -> Verdict:
    ended_at = condition.get("lastTransitionTime", seen.now)
    done = published(seen)
    report = done.report if done else None
    if done or seen.spec.model.architecture == CUSTOM:
        model = report is not None and report.model
        told = f"the model is published at {seen.public_output}" if model else "the container has ended well"
        return Verdict(
            stage=Stage.COMPLETE, finding=Finding(Reason.SUCCEEDED, told), report=report, ended_at=ended_at
        )
    ends = seen.ended("Succeeded")
    why = (
        "left no report of it: does its image run vaka.training?"
        if ends
        else "its pod was removed before its report could be read"
    )
    message = (
        f"the trainer ended well, but {why}. A model may be at {seen.public_output}: serve it by its "
        "storageUri, or delete this job and create it anew"
    )
    return _failure(Finding(Reason.RESULT_UNKNOWN, message), ends[0] if ends else None, ended_at)


def _failed(seen: Seen, condition: JSON) -> Verdict:
    ended = next((end for end in seen.ended("Failed") if end.exit_code != 0), None)
    ended_at = condition.get("lastTransitionTime", seen.now)
    match condition.get("reason"):
        case "DeadlineExceeded":
            limit = seen.spec.active_deadline_seconds
            told = f"it did not end within spec.activeDeadlineSeconds, {limit} s: allow more, or train less"
            return _failure(Finding(Reason.DEADLINE_EXCEEDED, told), None, ended_at)
        case "BackoffLimitExceeded" if seen.spec.backoff_limit:
            last = f": the last, {ended.pod}: {ended.finding.message}" if ended else ""
            told = f"it failed more often in a row than spec.backoffLimit, {seen.spec.backoff_limit}{last}"
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

"""How the Job of a TrainingJob fares: one verdict from what it and its pods show."""

import dataclasses

from vaka.api.reasons import Reason
from vaka.api.trainingjob import CUSTOM
from vaka_operator.manifests.job import TRAINER, allowed_failures
from vaka_operator.status import kills
from vaka_operator.status import pods as podstatus
from vaka_operator.status.checkpoints import checkpoint
from vaka_operator.status.conditions import Finding, find, is_true
from vaka_operator.status.ends import finished, published
from vaka_operator.status.gang import paused
from vaka_operator.status.verdict import Seen, Stage, Verdict

_ENDING = Finding(Reason.PUBLISHING, "the trainer has ended, its Job is about to complete")


def judge(seen: Seen) -> Verdict:
    """The one thing that is true of a TrainingJob now."""
    return (
        finished(seen)
        or _refused(seen)
        or _ending(seen)
        or _held(seen)
        or _running(seen)
        or _restarting(seen)
        or Verdict(stage=Stage.WAITING, finding=_obstacle(seen))
    )


def has_begun(seen: Seen) -> bool:
    """Whether there is work that would be lost if the Job were made anew.

    A trainer that waits has done none; one that does not answer may have, also where nobody was there to
    note when it began.
    """
    if seen.previous.start_time or checkpoint(seen) or seen.condition("Complete") or seen.condition("Failed"):
        return True
    if any(podstatus.phase(pod) == "Succeeded" for pod in seen.group.current):
        return True
    reports = (seen.reports.get(pod["metadata"]["name"]) for pod in seen.group.running)
    return any(report is None or not report.waiting for report in reports)


def attempts_before(seen: Seen) -> int:
    """How many attempts have failed, or were broken off, as far as anyone still knows."""
    counted = seen.group.failures
    if seen.job and seen.group.size == 1:
        counted = max(counted, int(seen.job.get("status", {}).get("failed", 0)))
    return max(counted, (seen.previous.restarts or 0) + _is_broken_off(seen))


def _is_broken_off(seen: Seen) -> bool:
    """It ran when it was looked at last, and pods are missing now that nobody took back."""
    held = bool(finished(seen) or _ending(seen) or _held(seen))
    return is_true(seen.previous.conditions, "Running") and not (held or seen.group.enough or _done(seen))


def _refused(seen: Seen) -> Verdict | None:
    return Verdict(stage=Stage.WAITING, finding=seen.refusal) if seen.refusal else None


def _ending(seen: Seen) -> Verdict | None:
    """The Job has decided, and the pods that are left are being ended."""
    why = failing(seen)
    if seen.condition("SuccessCriteriaMet") or (why is not None and published(seen)):
        return Verdict(stage=Stage.RUNNING, finding=_ENDING)
    if why is not None:
        told = f"the job has failed, its pods are ending: {why}"
        return Verdict(stage=Stage.WAITING, finding=Finding(Reason.STOPPING, told))
    return None


def failing(seen: Seen) -> str | None:
    """Why the Job is about to fail, as it says itself or will say as soon as it sees its limit."""
    if target := seen.condition("FailureTarget"):
        return str(target.get("message", ""))
    if seen.job and kills.own_failures(seen.job) > allowed_failures(seen.spec):
        return f"it failed more often in a row than spec.backoffLimit, {seen.spec.backoff_limit}"
    return None


def _held(seen: Seen) -> Verdict | None:
    """Suspended or queued once no pod is left: while one still stops, it saves."""
    by_queue = bool(seen.spec.queue_name and seen.job and seen.job.get("spec", {}).get("suspend"))
    by_gang = paused(seen.job, now=seen.now)
    if not (seen.spec.suspend or by_queue or by_gang):
        return None
    if seen.alive:
        why = (
            f"{seen.held_by} is true"
            if seen.spec.suspend
            else by_gang or f"the queue {seen.spec.queue_name} took it back"
        )
        told = f"{why}: {seen.alive} of its pods write a checkpoint and end"
        return Verdict(stage=Stage.WAITING, finding=Finding(Reason.STOPPING, told), report=seen.report)
    if seen.spec.suspend:
        told = f"{seen.held_by} is true: set it to false to train"
        return Verdict(stage=Stage.SUSPENDED, finding=Finding(Reason.SUSPENDED, told))
    if by_gang:
        return Verdict(stage=Stage.WAITING, finding=Finding(Reason.UNSCHEDULABLE, by_gang))
    told = f"it waits in the queue {seen.spec.queue_name}"
    told = f"{told}: {seen.queue}" if seen.queue else told
    return Verdict(stage=Stage.QUEUED, finding=Finding(Reason.QUEUED, told))


def _done(seen: Seen) -> podstatus.Ended | None:
    """How the pod ended that ended well: with it the training is done."""
    ends = (podstatus.ending(pod, TRAINER) for pod in seen.group.current)
    return next((end for end in ends if end and end.exit_code == 0), None)


def _running(seen: Seen) -> Verdict | None:
    if done := _done(seen):
        return Verdict(stage=Stage.RUNNING, finding=_ENDING, report=done.report)
    if not seen.group.enough:
        return None
    verdict = _reported(seen)
    if seen.group.size == 1:
        return verdict
    missing = len(seen.group.running) < seen.group.size
    parts = [_missing(seen) if missing else seen.group.attendance, seen.report.message if seen.report else ""]
    finding = Finding(verdict.finding.reason, "; ".join(filter(None, parts)))
    return dataclasses.replace(verdict, finding=finding)


def _reported(seen: Seen) -> Verdict:
    if seen.report is None:
        return _as_before(seen)
    word = podstatus.reason(seen.report.reason, Reason.TRAINING)
    if word not in podstatus.UNDER_WAY:
        word = Reason.PUBLISHING if seen.report.model else Reason.TRAINING
    stage = Stage.WAITING if seen.report.waiting else Stage.RUNNING
    message = seen.report.message or f"the trainer reports {word}"
    return Verdict(stage=stage, finding=Finding(word, message), report=seen.report)


def _as_before(seen: Seen) -> Verdict:
    """A trainer that is too busy to answer once goes on with what it did."""
    before = find(seen.previous.conditions, "Running")
    if before is None or before.reason not in podstatus.UNDER_WAY:
        return Verdict(stage=Stage.RUNNING, finding=_silent(seen))
    stage = Stage.RUNNING if before.status == "True" else Stage.WAITING
    return Verdict(stage=stage, finding=Finding(Reason(before.reason), before.message))


def _silent(seen: Seen) -> Finding:
    if seen.spec.model.architecture == CUSTOM:
        return Finding(Reason.TRAINING, "the container runs")
    return Finding(Reason.STARTING, "the trainer starts")


def _restarting(seen: Seen) -> Verdict | None:
    """An attempt failed and another follows, unless its pods are held up by something of their own."""
    before = attempts_before(seen)
    newly = before > (seen.previous.restarts or 0)
    obstacle = _why_not(seen).reason
    if not (newly or is_true(seen.previous.conditions, "Restarting")):
        return None
    if obstacle not in (Reason.CONTAINER_STARTING, Reason.CREATED):
        return None
    ended = next(iter(seen.ended("Failed")), None)
    told = find(seen.previous.conditions, "Restarting")
    if told and not newly and ended is None:  # its pods went with a Job that was made anew
        return Verdict(stage=Stage.RESTARTING, finding=Finding(Reason.RESTARTING, told.message))
    cause = f"{ended.pod} failed: {ended.finding.message}" if ended else "a pod was removed"
    message = f"attempt {before + 1} follows{_counted(seen)}: {cause}{_free(seen, ended)}"
    return Verdict(stage=Stage.RESTARTING, finding=Finding(Reason.RESTARTING, message))


def _free(seen: Seen, ended: podstatus.Ended | None) -> str:
    """That a killed pod does not count, unless a rule of the spec says otherwise."""
    killed = (pod["metadata"]["name"] for pod in seen.pods if seen.job and kills.is_killed(pod, seen.job))
    return "; it does not count" if ended and ended.pod in killed else ""


def _counted(seen: Seen) -> str:
    """How near the limit is, where there were failures that count."""
    failed = kills.own_failures(seen.job) if seen.job else 0
    return f" ({failed} of {allowed_failures(seen.spec)} failures in a row)" if failed else ""


def _obstacle(seen: Seen) -> Finding:
    return _why_not(seen) if seen.group.size == 1 else Finding(_why_not(seen).reason, _missing(seen))


def _missing(seen: Seen) -> str:
    """How many pods run, and why one of the others does not."""
    pod = seen.group.held_up
    name = f"{pod['metadata']['name']}: " if pod else ""
    return f"{seen.group.attendance}; {name}{_why_not(seen).message}"


def _why_not(seen: Seen) -> Finding:
    """Why not all pods run."""
    if pod := seen.group.held_up:
        return podstatus.obstacle(pod, claims=seen.claims, events=seen.events)
    last = seen.events[0] if seen.events else {}
    if last.get("reason") == "FailedCreate":
        return Finding(Reason.POD_REFUSED, f"the namespace refuses the pod: {last.get('note', '')}")
    return Finding(Reason.CREATED, "the Job is made, its pods follow")

"""Which checkpoint a TrainingJob would continue from."""

from datetime import UTC, datetime

import msgspec

from vaka.api.contract import CheckpointReport, Report
from vaka.api.trainingjobstatus import CheckpointStatus
from vaka_operator.manifests.job import TRAINER
from vaka_operator.status import pods as podstatus
from vaka_operator.status.verdict import Seen


def checkpoint(seen: Seen) -> CheckpointStatus | None:
    """The newest that a pod tells of.

    It goes back only where a pod that began after the former one was saved has found an older one: then
    the former one was damaged or is gone.
    """
    before = seen.previous.checkpoint
    # While a pod runs, the words of those before it are old.
    told = _living(seen) if seen.group.running else _ended(seen)
    newest = max((c for c, _ in told), key=lambda c: c.step, default=None)
    if before is None or newest is None or newest.step > before.step:
        return newest or before
    found = [c for c, since in told if since and _time(since) > _time(before.time)]
    return max(found, key=lambda c: c.step, default=before)


def has_advanced(seen: Seen) -> bool:
    """Whether there is a newer checkpoint than the status tells of."""
    before, now = seen.previous.checkpoint, checkpoint(seen)
    return now is not None and (before is None or now.step > before.step)


def _living(seen: Seen) -> list[tuple[CheckpointStatus, str | None]]:
    """What the pods that run say, each with when it began."""
    reports = ((pod, seen.reports.get(pod["metadata"]["name"])) for pod in seen.group.running)
    return [(c, podstatus.running_since(pod, TRAINER)) for pod, report in reports if (c := _of(report))]


def _ended(seen: Seen) -> list[tuple[CheckpointStatus, str | None]]:
    """What the last pods said last."""
    return [(c, None) for end in (*seen.ended("Failed"), *seen.ended("Succeeded")) if (c := _of(end.report))]


def _of(report: Report | None) -> CheckpointStatus | None:
    """The checkpoint of a report; one with impossible values is not passed on."""
    if report is None or report.checkpoint is None:
        return None
    try:
        time = _time(report.checkpoint.time).strftime("%Y-%m-%dT%H:%M:%SZ")
        return msgspec.convert(_with(report.checkpoint, time), CheckpointStatus)
    except (ValueError, msgspec.ValidationError):
        return None


def _with(given: CheckpointReport, time: str) -> dict[str, object]:
    return {"step": given.step, "uri": given.uri, "time": time}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)

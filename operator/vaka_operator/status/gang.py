"""Pods that train together start together: all that are needed hold resources, or none."""

from datetime import UTC, datetime, timedelta

from vaka_operator.manifests.job import GANG
from vaka_operator.manifests.meta import JSON
from vaka_operator.status import pods as podstatus
from vaka_operator.status.group import Group

PATIENCE = timedelta(minutes=5)
"""How long pods may hold resources while another finds none."""
PAUSE = timedelta(minutes=1)
"""How long after that nothing is tried; up to twice as long, so that two jobs do not meet again."""
PAUSED = "vaka.dev/gang-paused"
"""Annotation of a Job that was taken back: until when, and why."""


def is_gated(pod: JSON) -> bool:
    return any(gate["name"] == GANG for gate in pod.get("spec", {}).get("schedulingGates", []))


def to_release(group: Group) -> list[JSON]:
    """The pods that may be scheduled now: those that wait, once enough are there."""
    there = [p for p in group.current if podstatus.is_alive(p) and not podstatus.is_going(p)]
    return [pod for pod in there if is_gated(pod)] if len(there) >= group.need else []


def stuck(group: Group, *, now: str) -> str | None:
    """Why the pods have to be given up for now; None where they have not, or not long enough."""
    if group.size == 1 or group.enough:
        return None
    patient = datetime.fromisoformat(now) - PATIENCE
    alive = [pod for pod in group.current if podstatus.is_alive(pod)]
    held = [since for pod in alive if (since := podstatus.scheduled_since(pod))]
    left = [p for p in alive if podstatus.is_unschedulable(p) and _time(_created(p)) <= patient]
    if not left or not held or _time(min(held)) > patient:
        return None
    obstacle = podstatus.obstacle(left[0], claims={}, events=()).message
    return (
        f"{len(held)} of {group.size} pods had a node and {left[0]['metadata']['name']} had not: {obstacle}"
    )


def pause(uid: str, why: str, *, now: str) -> str:
    """What the annotation says of a Job that is taken back now."""
    share = int(uid.replace("-", "")[:8] or "0", 16) / 2**32
    until = datetime.fromisoformat(now) + PAUSE * (1 + share)
    return f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} {why}"


def paused(job: JSON | None, *, now: str) -> str | None:
    """Until when a Job is taken back, and why; None for one that is not."""
    told: str | None = ((job or {}).get("metadata", {}).get("annotations") or {}).get(PAUSED)
    if told is None or _time(told.partition(" ")[0]) <= datetime.fromisoformat(now):
        return None
    until, _, why = told.partition(" ")
    return f"{why}; all were taken back, and are tried again at {until}"


def _created(pod: JSON) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

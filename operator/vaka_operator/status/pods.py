"""What a pod shows: why it does not run, and how it ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from vaka.api.contract import EXIT_KILLED, Report
from vaka.api.reasons import Reason
from vaka_operator.manifests.meta import JSON
from vaka_operator.status.conditions import Finding

STARTING = Finding(Reason.CONTAINER_STARTING, "the pod's containers are being started")

_WAITING = {
    "ErrImagePull": Reason.IMAGE_PULL_FAILED,
    "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
    "InvalidImageName": Reason.IMAGE_PULL_FAILED,
    "ImageInspectError": Reason.IMAGE_PULL_FAILED,
    "RegistryUnavailable": Reason.IMAGE_PULL_FAILED,
    "CreateContainerConfigError": Reason.CONTAINER_REFUSED,
    "CreateContainerError": Reason.CONTAINER_REFUSED,
    "RunContainerError": Reason.CONTAINER_REFUSED,
}
_ADVICE = {
    Reason.IMAGE_PULL_FAILED: "check the image's name and that the node may pull it",
    Reason.SECRET_MISSING: "create the Secret in this namespace, or correct its name",
    Reason.CONTAINER_REFUSED: "check env and image in the spec",
}
_VOLUME_EVENTS = {"FailedMount", "FailedAttachVolume"}
_PULL_FAILED = "Failed to pull image"

UNDER_WAY = {
    Reason.STARTING,
    Reason.WAITING_FOR_NODES,
    Reason.LOADING_DATASET,
    Reason.DATASET_NOT_FOUND,
    Reason.STORAGE_UNREACHABLE,
    Reason.TRAINING,
    Reason.PUBLISHING,
}
"""What a trainer reports while it lives."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a pod's container ended, or the pod itself where no container tells."""

    pod: str
    exit_code: int | None
    finding: Finding
    report: Report | None = None


def newest(pods: Iterable[JSON]) -> JSON | None:
    """Of those made in the same second one that is alive: it was made when the other had ended."""

    def age(pod: JSON) -> tuple[str, bool, str]:
        return pod["metadata"]["creationTimestamp"], is_alive(pod), pod["metadata"]["name"]

    return max(pods, key=age, default=None)


def phase(pod: JSON) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def is_alive(pod: JSON) -> bool:
    return phase(pod) in ("Pending", "Running")


def is_going(pod: JSON) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: JSON) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def is_unschedulable(pod: JSON) -> bool:
    """Whether the scheduler has found no node for it."""
    scheduled = _condition(pod, "PodScheduled")
    return scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"


def scheduled_since(pod: JSON) -> str | None:
    """Since when it has a node, and holds resources there."""
    scheduled = _condition(pod, "PodScheduled")
    return scheduled.get("lastTransitionTime") if scheduled.get("status") == "True" else None


def outcome(pod: JSON, container: str) -> str:
    """The phase that the pod has or, where its container has ended, will have: the kubelet names it later."""
    code = _state(pod, container).get("terminated", {}).get("exitCode")
    if code is None or not is_alive(pod):
        return phase(pod)
    return "Failed" if code else "Succeeded"


def exit_codes(pod: JSON, container: str | None) -> list[int]:
    """Those of this container, of all where none is named, as far as they have ended."""
    states = [s.get("state", {}) for s in _statuses(pod) if container in (None, s["name"])]
    return [int(state["terminated"].get("exitCode", 0)) for state in states if "terminated" in state]


def running_since(pod: JSON, container: str) -> str | None:
    """When the container began to run, if it runs."""
    started = _state(pod, container).get("running", {}).get("startedAt")
    return None if started is None else str(started)


def ended_at(pod: JSON, container: str) -> str | None:
    """When the container ended, if it has."""
    ended = _state(pod, container).get("terminated", {}).get("finishedAt")
    return None if ended is None else str(ended)


def obstacle(pod: JSON, *, claims: Mapping[str, JSON | None], events: Iterable[JSON]) -> Finding:
    """Why a pod that has not ended does not run yet.

    Args:
        pod: the pod.
        claims: the claims that it mounts by name, None where there is none.
        events: those of the pod.
    """
    return _waiting(pod) or _unscheduled(pod, claims) or _told_by(events) or STARTING


def is_only_starting(pod: JSON) -> bool:
    """Whether nothing that the pod itself shows holds it up."""
    return obstacle(pod, claims={}, events=()) == STARTING


def ending(pod: JSON, container: str) -> Ended | None:
    """How the pod ended: its main container, or whichever container failed before that one could start."""
    statuses = _statuses(pod)
    failed = [s for s in statuses if s.get("state", {}).get("terminated", {}).get("exitCode", 0) != 0]
    main = [s for s in statuses if s["name"] == container and "terminated" in s.get("state", {})]
    for status in [*main, *failed]:
        return _judged(pod, _ended(pod, status["name"], status["state"]["terminated"]))
    if phase(pod) == "Failed":
        told = pod["status"].get("message") or pod["status"].get("reason") or "the pod was removed"
        ended = Ended(
            pod=pod["metadata"]["name"], exit_code=None, finding=Finding(Reason.TRAINER_FAILED, told)
        )
        return _judged(pod, ended)
    return None


def last_ending(pod: JSON, container: str) -> Ended | None:
    """How a container that is started again and again ended last."""
    status = next((s for s in _statuses(pod) if s["name"] == container), {})
    for state in ("state", "lastState"):
        if terminated := status.get(state, {}).get("terminated"):
            return _ended(pod, container, terminated)
    return None


def report_in(message: str) -> Report | None:
    """The report that a container left in its termination message, None if it left something else."""
    try:
        return msgspec.json.decode(message, type=Report)
    except msgspec.DecodeError:
        return None


def reason(word: str, default: Reason) -> Reason:
    """The reason of this name; a word that is none of ours becomes the default."""
    try:
        return Reason(word)
    except ValueError:
        return default


def _ended(pod: JSON, container: str, terminated: JSON) -> Ended:
    code = int(terminated.get("exitCode", 0))
    text = terminated.get("message", "").strip()
    report = report_in(text)
    if terminated.get("reason") == "OOMKilled":
        finding = Finding(
            Reason.OUT_OF_MEMORY,
            f"{container} used more memory than its limit: raise the memory limit, or lower the batch size",
        )
    elif report:
        word = reason(report.reason, Reason.TRAINER_FAILED)
        # Broken off by a signal, it could only say what it was at.
        broken_off = code != 0 and word in UNDER_WAY
        finding = Finding(Reason.TRAINER_FAILED if broken_off else word, report.message)
    else:
        tail = f", its last lines:\n{text}" if text else " and left no message"
        finding = Finding(Reason.TRAINER_FAILED, f"{container} ended with exit code {code}{tail}")
    return Ended(pod=pod["metadata"]["name"], exit_code=code, finding=finding, report=report)


def _judged(pod: JSON, ended: Ended) -> Ended:
    """What was taken away or killed from outside has not failed by itself; what failed has not succeeded."""
    if ended.exit_code == 0:
        return ended
    why = _condition(pod, "DisruptionTarget")
    if why.get("status") == "True":
        told = why.get("message") or why.get("reason", "it was taken away")
        return replace(ended, finding=Finding(Reason.DISRUPTED, told))
    word = ended.finding.reason
    if word is Reason.TRAINER_FAILED or "Failed" not in word.conditions:
        own = Finding(Reason.TRAINER_FAILED, ended.finding.message)
        return replace(ended, finding=_killed(pod, ended) or own)
    return ended


def _killed(pod: JSON, ended: Ended) -> Finding | None:
    """By SIGKILL and not for its memory, or removed by force so that no container tells of its end."""
    if ended.exit_code == EXIT_KILLED:
        return Finding(Reason.KILLED, "the pod was killed (SIGKILL) from outside")
    if ended.exit_code is None and is_going(pod):
        return Finding(Reason.KILLED, "the pod was removed by force")
    return None


def _statuses(pod: JSON) -> list[JSON]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _state(pod: JSON, container: str) -> JSON:
    for status in _statuses(pod):
        if status["name"] == container:
            state: JSON = status.get("state", {})
            return state
    return {}


def _condition(pod: JSON, kind: str) -> JSON:
    found: list[JSON] = pod.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {})


def _waiting(pod: JSON) -> Finding | None:
    for status in _statuses(pod):
        waiting = status.get("state", {}).get("waiting", {})
        if word := _WAITING.get(waiting.get("reason", "")):
            text = waiting.get("message", waiting["reason"])
            if word is Reason.CONTAINER_REFUSED and text.startswith("secret "):
                word = Reason.SECRET_MISSING
            return Finding(word, f"{_about(status, word)}{text}: {_ADVICE[word]}")
    return None


def _about(status: JSON, word: Reason) -> str:
    return f"image {status['image']}: " if word is Reason.IMAGE_PULL_FAILED else ""


def _unscheduled(pod: JSON, claims: Mapping[str, JSON | None]) -> Finding | None:
    if pod.get("spec", {}).get("nodeName"):
        return None
    for name, claim in claims.items():
        if claim is None:
            return Finding(
                Reason.VOLUME_PENDING,
                f"the claim {name} does not exist in this namespace: create it, or correct the storageUri",
            )
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") == "SchedulingGated":
        return None
    pending = [n for n, c in claims.items() if c and c.get("status", {}).get("phase") != "Bound"]
    message = scheduled.get("message", "no node was found")
    if pending and "persistentvolumeclaim" in message.lower():
        return Finding(Reason.VOLUME_PENDING, f"the claim {pending[0]} is not bound: {message}")
    return Finding(Reason.UNSCHEDULABLE, message)


def _told_by(events: Iterable[JSON]) -> Finding | None:
    """What only events tell: a volume that cannot be mounted, and an image that could not be pulled just now.

    The kubelet tells of a failed pull in the pod's status at its next try only, ten seconds later.
    """
    for event in events:
        note = event.get("note", "")
        if event.get("reason") in _VOLUME_EVENTS:
            return Finding(Reason.VOLUME_PENDING, note or "a volume cannot be mounted")
        if event.get("reason") == "Failed" and note.startswith(_PULL_FAILED):
            return Finding(Reason.IMAGE_PULL_FAILED, f"{note}: {_ADVICE[Reason.IMAGE_PULL_FAILED]}")
    return None

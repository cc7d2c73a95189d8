"""Pods that were killed from outside do not count against spec.backoffLimit.

Their Job counts them, for its podFailurePolicy cannot tell a kill from a lack of memory. So the Job's
backoffLimit is raised by one for each, and an annotation of the Job says how many failures do not count and
which pods were made up for. Both are written at once: to die in between forgives nobody twice or never.

After each pod that failed, forgiven or not, the Job controller waits twice as long before it makes the next,
up to ten minutes, and only a new Job starts from none. So one of which no failure counts is made anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from vaka.api.reasons import Reason
from vaka_operator.manifests.job import TRAINER
from vaka_operator.manifests.meta import JSON
from vaka_operator.status import pods as podstatus

FORGIVEN = "vaka.dev/forgiven"
"""Annotation of a Job: JSON of what is Forgiven."""
TRACKING = "batch.kubernetes.io/job-tracking"
"""Finalizer of a pod that its Job has not counted yet."""
FIRST_WAIT = timedelta(seconds=10)
"""Before the pod that follows the first that failed; it is left, so that nothing is tried without a pause."""
UID_DIGITS = 13
"""Of a uid: they tell the pods of one Job apart, and all that a cluster keeps fit into an annotation."""


class Forgiven(msgspec.Struct, kw_only=True, frozen=True):
    """The failures of a Job that do not count."""

    failures: int = 0
    killed: list[str] = []
    """The killed pods that were there last, each by the beginning of its uid."""


def forgiven(job: JSON) -> Forgiven:
    noted = (job["metadata"].get("annotations") or {}).get(FORGIVEN, "{}")
    try:
        return msgspec.json.decode(noted, type=Forgiven)
    except msgspec.DecodeError:
        return Forgiven()


def noted(forgiven: Forgiven) -> dict[str, str]:
    """The annotation that remembers it."""
    return {} if forgiven == Forgiven() else {FORGIVEN: msgspec.json.encode(forgiven).decode()}


def forgive(job: JSON, pods: Sequence[JSON], *, anew: bool) -> Forgiven:
    """What does not count from now on: killed pods that are new, and `anew` all that failed until now.

    Args:
        job: as it was when the pods were looked at, or before.
        pods: those of the Job that are still there.
        anew: whether the count of failures starts anew.
    """
    before = forgiven(job)
    killed = {_mark(pod): pod for pod in pods if is_killed(pod, job)}
    new = killed.keys() - set(before.killed)
    if not anew and not new:
        return before
    uncounted = sum(_is_uncounted(pod, job) for pod in killed.values())
    failures = failed(job) + uncounted if anew else before.failures + len(new)
    return Forgiven(failures=failures, killed=sorted(killed))


def is_killed(pod: JSON, job: JSON) -> bool:
    """Whether the pod was killed from outside, and no rule of the Job says what that means."""
    end = podstatus.ending(pod, TRAINER)
    if end is None or end.finding.reason is not Reason.KILLED:
        return False
    rules = job.get("spec", {}).get("podFailurePolicy", {}).get("rules", [])
    return not any(_fits(rule, pod) for rule in rules)


def failed(job: JSON) -> int:
    """How many pods the Job has counted as failed."""
    return int(job.get("status", {}).get("failed", 0))


def own_failures(job: JSON) -> int:
    """How many of them count."""
    return max(0, failed(job) - forgiven(job).failures)


def holds_back(job: JSON, pods: Sequence[JSON], *, now: str) -> bool:
    """Whether the Job still waits longer than after a first failure, though none of its failures counts.

    Args:
        job: as it is after what is forgiven was noted.
        pods: those of the Job that are still there.
        now: the time.
    """
    ends = [end for pod in pods if (end := podstatus.ended_at(pod, TRAINER))]
    if len(ends) < 2 or own_failures(job) or any(_is_uncounted(pod, job) for pod in pods):
        return False
    wait = FIRST_WAIT * (1 << min(len(ends) - 1, 6))
    return datetime.fromisoformat(now) < datetime.fromisoformat(max(ends)) + wait


def _mark(pod: JSON) -> str:
    return str(pod["metadata"]["uid"])[:UID_DIGITS]


def _is_uncounted(pod: JSON, job: JSON) -> bool:
    """Whether the Job's number of failed pods is still without this one."""
    meta = pod["metadata"]
    counting = job.get("status", {}).get("uncountedTerminatedPods", {}).get("failed", [])
    return TRACKING in meta.get("finalizers", []) or meta["uid"] in counting


def _fits(rule: JSON, pod: JSON) -> bool:
    """Whether a rule of a podFailurePolicy is about a pod that ended like this."""
    if exits := rule.get("onExitCodes"):
        name, inside = exits.get("containerName"), exits["operator"] == "In"
        codes = podstatus.exit_codes(pod, name)
        return any((code in exits["values"]) == inside for code in codes if code)
    wanted = {(c["type"], c.get("status", "True")) for c in rule.get("onPodConditions", [])}
    return any((c["type"], c["status"]) in wanted for c in pod.get("status", {}).get("conditions", []))

"""Events that tell of a change of state."""

import hashlib
from collections.abc import Iterable

from vaka.api.reasons import Reason
from vaka.api.types import Condition
from vaka_operator.manifests.meta import JSON, MANAGER
from vaka_operator.status.conditions import Finding

NORMAL = {
    Reason.CREATED,
    Reason.CONTAINER_STARTING,
    Reason.QUEUED,
    Reason.ADMITTED,
    Reason.SUSPENDED,
    Reason.RESUMED,
    Reason.STOPPING,
    Reason.CLEANING_UP,
    Reason.STARTING,
    Reason.WAITING_FOR_NODES,
    Reason.LOADING_DATASET,
    Reason.TRAINING,
    Reason.SEARCHING,
    Reason.PUBLISHING,
    Reason.SUCCEEDED,
    Reason.PRUNED,
    Reason.WAITING_FOR_TRAINING_JOB,
    Reason.LOADING_MODEL,
    Reason.ROLLING_OUT,
    Reason.SCALED_TO_ZERO,
    Reason.CANARY_STEP,
    Reason.CANARY_PROMOTED,
    Reason.READY,
}
LONGEST_NOTE = 1024


def news(before: Iterable[Condition], after: Iterable[Condition]) -> list[Finding]:
    """What the conditions tell that they did not tell before: each reason once."""
    reasons = {condition.type: condition.reason for condition in before}
    fresh = {c.reason: c.message for c in after if reasons.get(c.type) != c.reason}
    return [Finding(Reason(reason), message) for reason, message in fresh.items()]


def event(resource: JSON, finding: Finding, *, instance: str, now: str) -> JSON:
    """An event about the resource as it was read: its name is the same however often it is tried."""
    meta = resource["metadata"]
    seed = f"{meta['uid']} {meta['resourceVersion']} {finding.reason}"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta['name']}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}",
            "namespace": meta["namespace"],
        },
        "eventTime": now.replace("Z", ".000000Z"),
        "reportingController": f"vaka.dev/{MANAGER}",
        "reportingInstance": instance,
        "action": "Reconcile",
        "reason": finding.reason,
        "note": finding.message[:LONGEST_NOTE],
        "type": "Normal" if finding.reason in NORMAL else "Warning",
        "regarding": {
            "apiVersion": resource["apiVersion"],
            "kind": resource["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
        },
    }

"""Children: made where they are missing, put right where they differ, and never taken from others."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from vaka.api.contract import LABEL_JOB
from vaka.api.reasons import Reason
from vaka_operator.cluster import Cluster, Refused
from vaka_operator.manifests.meta import COMPONENT, FINGERPRINT, JSON, OWNER, Owner, holds
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding

NUDGED = "vaka.dev/nudged"
NUDGE_EVERY = timedelta(seconds=5)


class Obstacle(Exception):
    """A child cannot be made as it should be now."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class Withdrawn(Obstacle):
    """The child was there and has been deleted, for it was not what it should be."""


async def ensure(cluster: Cluster, owner: Owner, desired: JSON) -> JSON:
    """The child as it should be.

    Raises:
        Obstacle: another object has its name, a former one is not gone yet, or the API server refuses it.
    """
    live = await own(cluster, owner, kind=desired["kind"], name=desired["metadata"]["name"])
    if live is not None and holds(live, desired):
        return live
    return await _apply(cluster, desired)


async def make(cluster: Cluster, owner: Owner, desired: JSON) -> JSON:
    """The child, created where it is missing, and otherwise as it is.

    Raises:
        Conflict: somebody else has just made it.
        Obstacle: another object has its name, a former one is not gone yet, or the API server refuses it.
    """
    live = await own(cluster, owner, kind=desired["kind"], name=desired["metadata"]["name"])
    if live is not None:
        return live
    with _explained(desired):
        return await cluster.create(desired)


async def ensure_job(cluster: Cluster, live: JSON | None, desired: JSON) -> JSON:
    """The Job of a run that has not begun; what cannot be changed in a Job that exists needs a new one.

    It is created and never applied: what Kueue and others change in it later is theirs.

    Raises:
        Withdrawn: the one that there was is not the right one.
        Obstacle: pods of a former one are not gone yet, or the API server refuses it.
    """
    if live is None:
        await _vacant(cluster, desired)
        with _explained(desired):
            return await cluster.create(desired)
    annotations = live["metadata"].get("annotations", {})
    if annotations.get(FINGERPRINT) == desired["metadata"]["annotations"][FINGERPRINT]:
        return live
    await cluster.delete(live)
    raise Withdrawn(Finding(Reason.CLEANING_UP, "spec has changed: the Job is made anew"))


async def change(cluster: Cluster, live: JSON, spec: JSON, *, annotations: dict[str, str]) -> JSON:
    """The object with these fields of its spec and these annotations; None takes a field out."""
    noted = live["metadata"].get("annotations") or {}
    same = all(live["spec"].get(name) == value for name, value in spec.items())
    if same and annotations.items() <= noted.items():
        return live
    with _explained(live):
        return await cluster.patch(live, {"spec": spec, "metadata": {"annotations": annotations}})


async def own(cluster: Cluster, owner: Owner, *, kind: str, name: str) -> JSON | None:
    """The owner's object of this kind and name, None if there is none.

    Raises:
        Obstacle: it belongs to somebody else, or is being deleted.
    """
    live = await cluster.get(kind, owner.namespace, name)
    if live is None:
        return None
    if "deletionTimestamp" in live["metadata"]:
        raise Obstacle(Finding(Reason.CLEANING_UP, f"a former {kind} {name} is being deleted"))
    if is_owned(live, owner.uid):
        return live
    references = live["metadata"].get("ownerReferences", [])
    if any((r["kind"], r["name"]) == (owner.kind, owner.name) for r in references):
        raise Obstacle(Finding(Reason.CLEANING_UP, f"the {kind} of a former {owner.name} is being deleted"))
    left_behind = not references and owner.labels.items() <= live["metadata"].get("labels", {}).items()
    if left_behind and kind != "Job":  # by kubectl delete --cascade=orphan; a Job has trained for another
        return live
    told = (
        f"there is a {kind} {name} that is not of this {owner.kind}: delete it, or give this one another name"
    )
    raise Obstacle(Finding(Reason.NAME_TAKEN, told))


async def nudge(cluster: Cluster, live: JSON) -> None:
    """Have the controller of a refused child try again soon: left alone, it waits up to a quarter hour."""
    at = live["metadata"].get("annotations", {}).get(NUDGED)
    now = datetime.now(UTC)
    if at is None or now - datetime.fromisoformat(at) >= NUDGE_EVERY:
        await cluster.patch(live, {"metadata": {"annotations": {NUDGED: now.isoformat()}}})


async def remove(cluster: Cluster, owner: Owner, *, kind: str, name: str) -> None:
    """Delete the owner's object of this kind and name, if there is one."""
    live = await cluster.get(kind, owner.namespace, name)
    if live is not None and is_owned(live, owner.uid):
        await cluster.delete(live)


async def deployments_of(cluster: Cluster, owner: Owner) -> dict[str, JSON]:
    """The Deployments made for this very resource, by the part of it that they are."""
    found = await cluster.select("Deployment", owner.namespace, labels=owner.selector)
    own = [d | {"kind": "Deployment"} for d in found if is_owned(d, owner.uid)]  # lists leave out the kind
    return {live["metadata"]["labels"].get(COMPONENT, ""): live for live in own}


async def pods_of(cluster: Cluster, owner: Owner) -> list[JSON]:
    """The pods made for this very resource, and not those of a former one of its name."""
    pods = await cluster.select("Pod", owner.namespace, labels=owner.selector)
    return [pod for pod in pods if pod["metadata"].get("annotations", {}).get(OWNER) == owner.uid]


def is_owned(thing: JSON, uid: str) -> bool:
    """Whether the object of this uid is among its owners."""
    references = thing["metadata"].get("ownerReferences", [])
    return any(reference["uid"] == uid for reference in references)


async def claims_of(cluster: Cluster, pod: JSON) -> dict[str, JSON | None]:
    """The claims that a pod mounts by name, None for one that does not exist."""
    volumes = [v.get("persistentVolumeClaim") for v in pod["spec"].get("volumes", [])]
    names = [volume["claimName"] for volume in volumes if volume]
    namespace = pod["metadata"]["namespace"]
    return {name: await cluster.get("PersistentVolumeClaim", namespace, name) for name in names}


async def events_about(cluster: Cluster, thing: JSON) -> list[JSON]:
    """The events of an object, newest first."""
    meta = thing["metadata"]
    return await events(cluster, meta["namespace"], fields=f"regarding.uid={meta['uid']}")


async def events(cluster: Cluster, namespace: str, *, fields: str) -> list[JSON]:
    """The events of a namespace that have these fields, newest first."""
    return sorted(await cluster.select("Event", namespace, fields=fields), key=_last_seen, reverse=True)


def _last_seen(event: JSON) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime") or event.get("deprecatedLastTimestamp") or event.get("eventTime") or ""
    )


async def _apply(cluster: Cluster, desired: JSON) -> JSON:
    with _explained(desired):
        return await cluster.apply(desired)


@contextmanager
def _explained(manifest: JSON) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        told = f"the API server refuses {manifest['kind']} {manifest['metadata']['name']}: {error}"
        reason = Reason.INVALID_SPEC if error.invalid else Reason.OBJECT_REFUSED
        raise Obstacle(Finding(reason, told)) from error


async def _vacant(cluster: Cluster, job: JSON) -> None:
    """Two trainers must never write to one place: the pods of a former Job have to end first."""
    meta = job["metadata"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    for pod in await cluster.select("Pod", meta["namespace"], labels={LABEL_JOB: labels[LABEL_JOB]}):
        if podstatus.is_alive(pod):
            told = f"pod {pod['metadata']['name']} of a former Job is still ending"
            raise Obstacle(Finding(Reason.CLEANING_UP, told))

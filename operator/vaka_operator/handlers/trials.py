"""What a trial does because its search says so in its status: it is held, or stopped for good.

The operator needs no right to change TrainingJobs for this, and what a person does to a trial cannot undo it.
"""

import dataclasses
from dataclasses import dataclass

import msgspec

from vaka.api.reasons import Reason
from vaka.api.trainingjob import TrainingJob
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka.search.study import UNDER_WAY
from vaka_operator.handlers import children
from vaka_operator.handlers.world import SOON_S, Outcome, World, now, publish
from vaka_operator.manifests.meta import JSON, owner_of
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding
from vaka_operator.status.trials import stopped
from vaka_operator.status.verdict import Seen, job_condition


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the search wants of a trial."""

    held_by: str | None = None
    stop: Finding | None = None


async def order(world: World, resource: JSON) -> Order:
    """What the search that owns this job says of it; nothing where none does."""
    meta = resource["metadata"]
    for reference in meta.get("ownerReferences", []):
        if reference.get("controller") and reference["kind"] == resource["kind"]:
            search = await world.cluster.get("TrainingJob", meta["namespace"], reference["name"])
            if search and search["metadata"]["uid"] == reference["uid"]:
                return _order(msgspec.convert(search, TrainingJob), reference["name"], meta["name"])
    return Order()


def _order(search: TrainingJob, name: str, trial: str) -> Order:
    noted = search.status.search.trials if search.status and search.status.search else []
    held_by = f"spec.suspend of the search {name}" if search.spec.suspend else None
    known = next((t for t in noted if t.name == trial and t.state not in UNDER_WAY and t.reason), None)
    stop = Finding(Reason(known.reason), known.message or "") if known and known.reason else None
    return Order(held_by=held_by, stop=stop)


def obeying(seen: Seen, given: Order) -> Seen:
    """The trial as its search wants it."""
    if given.held_by is None or seen.spec.suspend:
        return seen
    spec = msgspec.structs.replace(seen.spec, suspend=True)
    return dataclasses.replace(seen, spec=spec, held_by=given.held_by)


async def stop(world: World, resource: JSON, job: TrainingJob, given: Order) -> Outcome | None:
    """Stop the trial for good, if its search wants it and its Job has not ended; it has failed once no pod
    is left, and until then it holds its place among those that run at once."""
    if given.stop is None:
        return None
    owner, previous = owner_of(resource), job.status or TrainingJobStatus()
    live = await world.cluster.get("Job", owner.namespace, owner.name)
    if live and children.is_owned(live, owner.uid):
        if job_condition(live, "Complete") or job_condition(live, "Failed"):
            return None
        if "deletionTimestamp" not in live["metadata"]:
            await world.cluster.delete(live)
    pods = await children.pods_of(world.cluster, owner)
    over = not any(podstatus.is_alive(pod) for pod in pods)
    finding = given.stop if over else Finding(Reason.STOPPING, f"its search stops it: {given.stop.message}")
    generation = resource["metadata"]["generation"]
    status = stopped(previous, finding, generation=generation, now=now(), over=over)
    await publish(world, resource, status, before=previous.conditions)
    return Outcome(status.state, None if over else SOON_S)

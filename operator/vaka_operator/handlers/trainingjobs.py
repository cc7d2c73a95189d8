"""The reconcile of TrainingJobs."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from vaka.api.contract import REPORT_PORT, Report
from vaka.api.reasons import Reason
from vaka.api.trainingjob import TrainingJob, TrainingJobStatus
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle, Withdrawn
from vaka_operator.handlers.world import GONE, Outcome, World, now, pause, publish
from vaka_operator.manifests.claim import name_of_its_own, usual_name
from vaka_operator.manifests.job import TRAINER, changeable, public_output, training
from vaka_operator.manifests.meta import JSON, Owner, owner_of
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding
from vaka_operator.status.jobs import Seen, Stage, Verdict, has_begun
from vaka_operator.status.trainingjobs import is_final, status_of


@dataclass(frozen=True, kw_only=True)
class _Look:
    """The Job and its pods before anything is done, or why the name is not ours to use."""

    job: JSON | None = None
    pods: Sequence[JSON] = ()
    report: Report | None = None
    obstacle: Finding | None = None


async def reconcile(world: World, namespace: str, name: str) -> Outcome:
    """Make the TrainingJob's children what they should be, and its status what they are."""
    resource = await world.cluster.get("TrainingJob", namespace, name)
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        return GONE
    job = msgspec.convert(resource, TrainingJob)
    if job.status and is_final(job.status):
        return await _keep(world, resource, job.status)
    owner = owner_of(resource)
    look = await _look(world, owner)
    child, refusal = await _act(world, owner, job, look)
    seen = await _seen(world, resource, job, look, child=child, refusal=refusal)
    status, verdict = status_of(seen)
    await publish(world, resource, status, before=seen.previous.conditions)
    if verdict.finding.reason is Reason.POD_REFUSED and child:
        await children.nudge(world.cluster, child)
    return Outcome(status.state, _again(verdict))


def _again(verdict: Verdict) -> float | None:
    ended = verdict.stage in (Stage.COMPLETE, Stage.FAILED, Stage.SUSPENDED)
    return None if ended else pause(verdict.finding)


async def _keep(world: World, resource: JSON, status: TrainingJobStatus) -> Outcome:
    """Finished stays finished, whatever becomes of the children; only that a change was seen is noted."""
    generation = resource["metadata"]["generation"]
    if status.observed_generation != generation:
        await world.cluster.write_status(resource, resource["status"] | {"observedGeneration": generation})
    return Outcome(status.state)


async def _look(world: World, owner: Owner) -> _Look:
    try:
        job = await children.own(world.cluster, owner, kind="Job", name=owner.name)
    except Obstacle as obstacle:
        return _Look(obstacle=obstacle.finding)
    if job is None:
        return _Look()
    pods = await children.pods_of_job(world.cluster, owner, job)
    pod = podstatus.newest(pods)
    runs = pod is not None and podstatus.running_since(pod, TRAINER) is not None
    report = await world.cluster.report(pod, port=REPORT_PORT) if pod and runs else None
    return _Look(job=job, pods=pods, report=report)


async def _act(
    world: World, owner: Owner, job: TrainingJob, look: _Look
) -> tuple[JSON | None, Finding | None]:
    """The Job as it should be, or as it is and why it is not as it should be."""
    if look.obstacle:
        return None, look.obstacle
    previous = job.status or TrainingJobStatus()
    begun = has_begun(previous, job=look.job, pods=look.pods, report=look.report)
    try:
        live = look.job
        # A run that has begun is never disturbed by what a newer operator would build or accept.
        if live is None or not begun:
            live = await _prepare(world, owner, job, live)
        return await children.change(world.cluster, live, changeable(job.spec)), None
    except Withdrawn as withdrawn:
        return None, withdrawn.finding
    except Obstacle as obstacle:
        return look.job, obstacle.finding


async def _prepare(world: World, owner: Owner, job: TrainingJob, live: JSON | None) -> JSON:
    """The Job of a run that has not begun, and before it what it needs; a wrong spec takes it back."""
    claim_name = await _claim_name(world, owner)
    try:
        plan = training(owner, job.spec, world.config, claim_name=claim_name)
    except ValueError as error:
        if live is not None:
            await world.cluster.delete(live)
        raise Withdrawn(Finding(Reason.INVALID_SPEC, str(error))) from error
    for manifest in plan.others:
        await children.ensure(world.cluster, owner, manifest)
    return await children.ensure_job(world.cluster, live, plan.job)


async def _claim_name(world: World, owner: Owner) -> str:
    """The usual name, unless the claim that has it is another's or a former run's that is still in use."""
    usual, other = usual_name(owner), name_of_its_own(owner)
    kind = "PersistentVolumeClaim"
    if await world.cluster.get(kind, owner.namespace, other):
        return other
    try:
        await children.own(world.cluster, owner, kind=kind, name=usual)
    except Obstacle:
        return other
    return usual


async def _seen(
    world: World,
    resource: JSON,
    job: TrainingJob,
    look: _Look,
    *,
    child: JSON | None,
    refusal: Finding | None,
) -> Seen:
    pods = look.pods if child else ()
    pod = podstatus.newest(pods)
    runs = pod is not None and podstatus.running_since(pod, TRAINER) is not None
    subject = None if runs else pod or child
    return Seen(
        spec=job.spec,
        previous=job.status or TrainingJobStatus(),
        public_output=public_output(child) if child else "",
        generation=resource["metadata"]["generation"],
        now=now(),
        job=child,
        pods=pods,
        claims=await children.claims_of(world.cluster, pod) if pod and not runs else {},
        events=await children.events_about(world.cluster, subject) if subject else [],
        report=look.report,
        refusal=refusal,
    )

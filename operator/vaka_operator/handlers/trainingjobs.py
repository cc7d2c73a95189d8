"""The reconcile of TrainingJobs."""

import asyncio
import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from vaka.api.contract import REPORT_PORT, Report
from vaka.api.reasons import Reason
from vaka.api.trainingjob import CONTROLLER, TrainingJob
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka_operator.handlers import children, searches, trials
from vaka_operator.handlers.children import Obstacle, Withdrawn
from vaka_operator.handlers.world import GONE, Outcome, World, now, pause, publish
from vaka_operator.manifests.claim import name_of_its_own, usual_name
from vaka_operator.manifests.job import GANG, backoff_limit, changeable, public_output, training
from vaka_operator.manifests.meta import JSON, Owner, owner_of
from vaka_operator.status import gang, kills
from vaka_operator.status.checkpoints import has_advanced
from vaka_operator.status.conditions import Finding
from vaka_operator.status.ends import finished
from vaka_operator.status.jobs import has_begun
from vaka_operator.status.trainingjobs import is_final, status_of
from vaka_operator.status.verdict import Seen, Stage, Verdict

ASKED_AT_MOST = 8
"""Of how many pods the reports are read: those of one job are all about as far."""


async def reconcile(world: World, namespace: str, name: str) -> Outcome:
    """Make the TrainingJob's children what they should be, and its status what they are."""
    resource = await world.cluster.get("TrainingJob", namespace, name)
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        return GONE
    job = msgspec.convert(resource, TrainingJob)
    if job.spec.managed_by not in (None, CONTROLLER):
        return GONE
    if job.status and is_final(job.status):
        return await _keep(world, resource, job, job.status)
    if job.spec.search:
        return await searches.reconcile(world, resource, job, job.spec.search)
    order = await trials.order(world, resource)
    if outcome := await trials.stop(world, resource, job, order):
        return outcome
    owner = owner_of(resource)
    before = trials.obeying(await _look(world, owner, resource, job), order)
    child, refusal = await _act(world, owner, before)
    seen = await _explained(world, before, child=child, refusal=refusal)
    status, verdict = status_of(seen)
    await publish(world, resource, status, before=seen.previous.conditions)
    if verdict.finding.reason is Reason.POD_REFUSED and child:
        await children.nudge(world.cluster, child)
    if verdict.stage is Stage.RESTARTING and child and _may_start_at_once(seen, child):
        await world.cluster.delete(child, unchanged=True)
        return Outcome(status.state, 0.0)
    return Outcome(status.state, _again(job, status, verdict))


def _may_start_at_once(seen: Seen, job: JSON) -> bool:
    """Whether a Job in the place of this one would start sooner and lose nothing: neither its place in a
    queue nor the time that it has run."""
    bound = seen.spec.queue_name or seen.spec.active_deadline_seconds or seen.alive
    return not bound and kills.holds_back(job, seen.pods, now=seen.now)


def _again(job: TrainingJob, status: TrainingJobStatus, verdict: Verdict) -> float | None:
    if is_final(status):
        return _time_to_live(job, status)
    return None if verdict.stage is Stage.SUSPENDED else pause(verdict.finding)


async def _keep(world: World, resource: JSON, job: TrainingJob, status: TrainingJobStatus) -> Outcome:
    """Finished stays finished, whatever becomes of the children, until its time to live is over."""
    left = _time_to_live(job, status)
    if left is not None and left <= 0:
        await world.cluster.delete(resource)
        return GONE
    generation = resource["metadata"]["generation"]
    if status.observed_generation != generation:
        await world.cluster.write_status(resource, resource["status"] | {"observedGeneration": generation})
    return Outcome(status.state, left)


def _time_to_live(job: TrainingJob, status: TrainingJobStatus) -> float | None:
    """Seconds until a finished job is deleted, None for never."""
    if job.spec.ttl_seconds_after_finished is None or status.completion_time is None:
        return None
    age = datetime.fromisoformat(now()) - datetime.fromisoformat(status.completion_time)
    return job.spec.ttl_seconds_after_finished - age.total_seconds()


async def _look(world: World, owner: Owner, resource: JSON, job: TrainingJob) -> Seen:
    """The Job and its pods before anything is done, or why the name is not ours to use."""
    seen = Seen(
        spec=job.spec,
        previous=job.status or TrainingJobStatus(),
        public_output="",
        generation=resource["metadata"]["generation"],
        now=now(),
    )
    try:
        live = await children.own(world.cluster, owner, kind="Job", name=owner.name)
    except Obstacle as obstacle:
        return dataclasses.replace(seen, refusal=obstacle.finding)
    pods = await children.pods_of(world.cluster, owner)
    mine = [pod for pod in pods if live and children.is_owned(pod, live["metadata"]["uid"])]
    seen = dataclasses.replace(seen, job=live, pods=mine, leftover=[p for p in pods if p not in mine])
    return dataclasses.replace(seen, reports=await _reports(world, seen.group.running[:ASKED_AT_MOST]))


async def _reports(world: World, pods: Sequence[JSON]) -> dict[str, Report]:
    said = await asyncio.gather(*(world.cluster.report(pod, port=REPORT_PORT) for pod in pods))
    return {pod["metadata"]["name"]: report for pod, report in zip(pods, said, strict=True) if report}


async def _act(world: World, owner: Owner, seen: Seen) -> tuple[JSON | None, Finding | None]:
    """The Job as it should be, or as it is and why it is not as it should be."""
    if seen.refusal or finished(seen):
        return seen.job, seen.refusal
    if seen.spec.suspend and seen.spec.queue_name:
        await _leave_queue(world, seen)
        return None, None
    try:
        live = seen.job
        # A run that has begun is never disturbed by what a newer operator would build or accept.
        if live is None or not has_begun(seen):
            live = await _prepare(world, owner, seen)
        forgiven = kills.forgive(live, seen.pods, anew=has_advanced(seen))
        wanted = _wanted(seen, live, forgiven=forgiven.failures)
        live = await children.change(world.cluster, live, wanted, annotations=kills.noted(forgiven))
        return await _start_together(world, seen, live), None
    except Withdrawn as withdrawn:
        return None, withdrawn.finding
    except Obstacle as obstacle:
        return seen.job, obstacle.finding


async def _leave_queue(world: World, seen: Seen) -> None:
    """A suspended job takes no place in a queue: whether its Job is suspended is not ours to say there."""
    if seen.job:
        await world.cluster.delete(seen.job)


async def _start_together(world: World, seen: Seen, live: JSON) -> JSON:
    """Let the pods be scheduled once enough are there, and take all back where some found no node."""
    for pod in gang.to_release(seen.group):
        others = [gate for gate in pod["spec"]["schedulingGates"] if gate["name"] != GANG]
        await world.cluster.patch(pod | {"kind": "Pod"}, {"spec": {"schedulingGates": others}})
    why = gang.stuck(seen.group, now=seen.now)
    if why is None or seen.spec.queue_name or live["spec"].get("suspend"):
        return live
    until = gang.pause(live["metadata"]["uid"], why, now=seen.now)
    change = {"metadata": {"annotations": {gang.PAUSED: until}}, "spec": {"suspend": True}}
    return await world.cluster.patch(live, change)


def _wanted(seen: Seen, live: JSON, *, forgiven: int) -> JSON:
    """What the Job shall have; its backoffLimit counts from the newest checkpoint on.

    This comes before the status that tells of the checkpoint, so that being killed in between loses nothing.
    """
    limit = backoff_limit(seen.spec, forgiven=forgiven, failed=kills.failed(live))
    paused = {"suspend": True} if gang.paused(live, now=seen.now) else {}
    return changeable(seen.spec) | {"backoffLimit": limit} | paused


async def _prepare(world: World, owner: Owner, seen: Seen) -> JSON:
    """The Job of a run that has not begun, and before it what it needs; a wrong spec takes it back."""
    claim_name = await _claim_name(world, owner)
    try:
        plan = training(owner, seen.spec, world.config, claim_name=claim_name)
    except ValueError as error:
        if seen.job is not None:
            await world.cluster.delete(seen.job)
        raise Withdrawn(Finding(Reason.INVALID_SPEC, str(error))) from error
    for manifest in plan.others:
        await children.ensure(world.cluster, owner, manifest)
    return await children.ensure_job(world.cluster, seen.job, plan.job)


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


async def _explained(world: World, before: Seen, *, child: JSON | None, refusal: Finding | None) -> Seen:
    """What is to be told: the Job as it is now, and what others say of why it does not run."""
    if child is None:
        gone = [*before.pods, *before.leftover]
        return dataclasses.replace(before, job=None, pods=(), leftover=gone, reports={}, refusal=refusal)
    seen = dataclasses.replace(before, job=child, refusal=refusal, public_output=public_output(child))
    pod = seen.group.held_up
    complete = len(seen.group.running) == seen.group.size
    return dataclasses.replace(
        seen,
        claims=await children.claims_of(world.cluster, pod) if pod else {},
        events=[] if complete else await children.events_about(world.cluster, pod or child),
        queue=await _queue(world, child) if seen.spec.queue_name and child["spec"].get("suspend") else "",
    )


async def _queue(world: World, job: JSON) -> str:
    """What Kueue said last of the Workload that it made for a Job; its name is job-NAME-DIGEST."""
    meta = job["metadata"]
    pattern = re.compile(f"job-{re.escape(meta['name'])}-[0-9a-f]+")
    told = await children.events(world.cluster, meta["namespace"], fields="regarding.kind=Workload")
    return next((str(e.get("note", "")) for e in told if pattern.fullmatch(e["regarding"]["name"])), "")

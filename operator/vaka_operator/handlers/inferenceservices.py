"""The reconcile of InferenceServices."""

from dataclasses import dataclass

import msgspec

from vaka.api.contract import HTTP_PORT
from vaka.api.inferenceservice import InferenceService, InferenceServiceStatus, PredictorModel, TrainingJobRef
from vaka.api.reasons import Reason
from vaka.api.trainingjob import TrainingJob
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle
from vaka_operator.handlers.world import GONE, Outcome, World, now, pause, publish
from vaka_operator.manifests.deployment import SERVER, Model, deployment, predictor_name, surroundings
from vaka_operator.manifests.meta import JSON, Owner, owner_of
from vaka_operator.manifests.service import url
from vaka_operator.manifests.storage import model_folder
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding, is_true
from vaka_operator.status.inferenceservices import Seen, status_of, unready


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What the service consists of now, and why that is not what it should be."""

    model: Model | None = None
    deployment: JSON | None = None
    obstacle: Finding | None = None


async def reconcile(world: World, namespace: str, name: str) -> Outcome:
    """Make the InferenceService's children what they should be, and its status what they are."""
    resource = await world.cluster.get("InferenceService", namespace, name)
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        return GONE
    service = msgspec.convert(resource, InferenceService)
    made = await _act(world, owner_of(resource), service)
    seen = await _observe(world, resource, service, made)
    status, verdict = status_of(seen)
    await publish(world, resource, status, before=seen.previous.conditions)
    if verdict.finding.reason is Reason.POD_REFUSED and made.deployment:
        await children.nudge(world.cluster, made.deployment)
    return Outcome(status.state, None if verdict.settled else pause(verdict.finding))


async def _act(world: World, owner: Owner, service: InferenceService) -> _Made:
    """Make the service; what serves already goes on where something new cannot be had yet."""
    live: JSON | None = None
    model: Model | None = None
    try:
        live = await children.own(world.cluster, owner, kind="Deployment", name=predictor_name(owner))
        for manifest in surroundings(owner):
            await children.ensure(world.cluster, owner, manifest)
        model = await _model(world, owner, service.spec.predictor.model)
        desired = _desired(world, owner, service, model)
        made = await children.ensure(world.cluster, owner, desired)
        return _Made(model=model, deployment=made)
    except Obstacle as obstacle:
        return _Made(model=model, deployment=live, obstacle=obstacle.finding)


def _desired(world: World, owner: Owner, service: InferenceService, model: Model) -> JSON:
    try:
        return deployment(owner, service.spec.predictor, model, world.config)
    except ValueError as error:
        raise Obstacle(Finding(Reason.INVALID_SPEC, str(error))) from error


async def _model(world: World, owner: Owner, given: PredictorModel) -> Model:
    """The model that is meant; Obstacle while its job has not published it."""
    if given.training_job_ref:
        return await _trained(world, owner, given, given.training_job_ref)
    uri = model_folder(given.storage_uri or "", name=owner.name)
    secret = given.secret_ref.name if given.secret_ref else None
    return Model(uri=uri, digest=given.digest, secret=secret)


async def _trained(world: World, owner: Owner, given: PredictorModel, ref: TrainingJobRef) -> Model:
    found = await world.cluster.get("TrainingJob", owner.namespace, ref.name)
    if found is None:
        told = f"there is no TrainingJob {ref.name} in this namespace: create it, or correct its name"
        raise Obstacle(Finding(Reason.TRAINING_JOB_NOT_FOUND, told))
    job = msgspec.convert(found, TrainingJob)
    if job.status is None or job.status.model is None:
        raise Obstacle(_unpublished(ref.name, job))
    secret = given.secret_ref or job.spec.output.secret_ref
    return Model(
        uri=job.status.model.uri,
        digest=job.status.model.digest,
        secret=secret.name if secret else None,
    )


def _unpublished(name: str, job: TrainingJob) -> Finding:
    status = job.status
    if status and is_true(status.conditions, "Failed"):
        why = status.failure.message if status.failure else "it says not why"
        told = f"TrainingJob {name} failed: {why}"
        return Finding(Reason.TRAINING_JOB_FAILED, f"{told}: correct it, delete it and create it anew")
    if status and is_true(status.conditions, "Complete"):
        told = f"TrainingJob {name} is complete and reported no model: give its storageUri instead"
        return Finding(Reason.WAITING_FOR_TRAINING_JOB, told)
    state = (status and status.state) or "new"
    return Finding(Reason.WAITING_FOR_TRAINING_JOB, f"TrainingJob {name} has no model yet: it is {state}")


async def _observe(world: World, resource: JSON, service: InferenceService, made: _Made) -> Seen:
    cluster, owner = world.cluster, owner_of(resource)
    pods = await children.pods_of(cluster, owner) if made.deployment else []
    waiting = unready(pods)
    running = [pod for pod in waiting if podstatus.running_since(pod, SERVER)]
    pod = podstatus.newest(waiting)
    stuck = pod if pod is not None and pod not in running else None
    return Seen(
        spec=service.spec.predictor,
        previous=service.status or InferenceServiceStatus(),
        url=url(owner),
        generation=resource["metadata"]["generation"],
        now=now(),
        model=made.model,
        deployment=made.deployment,
        pods=pods,
        reports={p["metadata"]["name"]: await cluster.report(p, port=HTTP_PORT) for p in running if p is pod},
        claims=await children.claims_of(cluster, stuck) if stuck else {},
        events=await children.events_about(cluster, stuck) if stuck else [],
        obstacle=made.obstacle,
    )

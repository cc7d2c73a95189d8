"""The reconcile of InferenceServices."""

from dataclasses import dataclass

import msgspec

from vaka.api.contract import HTTP_PORT
from vaka.api.inferenceservice import InferenceService, InferenceServiceStatus
from vaka.api.reasons import Reason
from vaka.api.servedmodel import ResolvedModel
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle
from vaka_operator.handlers.models import supply_of
from vaka_operator.handlers.world import GONE, Outcome, World, now, pause, publish
from vaka_operator.manifests.deployment import SERVER, deployment, predictor_name, surroundings
from vaka_operator.manifests.meta import JSON, Owner, owner_of
from vaka_operator.manifests.models import Supply
from vaka_operator.manifests.service import url
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding
from vaka_operator.status.inferenceservices import Seen, status_of, unready


@dataclass(kw_only=True)
class _Made:
    """What the service consists of now, and why that is not what it should be."""

    resource: JSON
    models: list[ResolvedModel]
    supply: Supply | None = None
    deployment: JSON | None = None
    obstacle: Finding | None = None


async def reconcile(world: World, namespace: str, name: str) -> Outcome:
    """Make the InferenceService's children what they should be, and its status what they are."""
    resource = await world.cluster.get("InferenceService", namespace, name)
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        return GONE
    service = msgspec.convert(resource, InferenceService)
    made = await _act(world, resource, service)
    seen = await _observe(world, service, made)
    status, verdict = status_of(seen)
    await publish(world, made.resource, status, before=seen.previous.conditions)
    if verdict.finding.reason is Reason.POD_REFUSED and made.deployment:
        await children.nudge(world.cluster, made.deployment)
    return Outcome(status.state, None if verdict.settled else pause(verdict.finding))


async def _act(world: World, resource: JSON, service: InferenceService) -> _Made:
    """Make the service; what serves already goes on where something new cannot be had yet."""
    owner, predictor = owner_of(resource), service.spec.predictor
    made = _Made(resource=resource, models=service.status.models if service.status else [])
    try:
        made.deployment = await children.own(
            world.cluster, owner, kind="Deployment", name=predictor_name(owner)
        )
        for manifest in surroundings(owner):
            await children.ensure(world.cluster, owner, manifest)
        made.supply, resolved = await supply_of(
            world.cluster, owner, "predictor", predictor.model, before=made.models
        )
        await _remember(world, made, resolved)
        for manifest in made.supply.claims(owner):
            await children.ensure(world.cluster, owner, manifest)
        desired = _desired(world, owner, service, made.supply)
        made.deployment = await children.ensure(world.cluster, owner, desired)
    except Obstacle as obstacle:
        made.obstacle = obstacle.finding
    return made


async def _remember(world: World, made: _Made, resolved: list[ResolvedModel]) -> None:
    """Write down what references came to before anything is made of it: only so it is pinned for sure."""
    if resolved != made.models:
        status = made.resource.get("status", {}) | {"models": msgspec.to_builtins(resolved)}
        made.resource = await world.cluster.write_status(made.resource, status)
        made.models = resolved


def _desired(world: World, owner: Owner, service: InferenceService, supply: Supply) -> JSON:
    try:
        return deployment(owner, service.spec.predictor, supply, world.config)
    except ValueError as error:
        raise Obstacle(Finding(Reason.INVALID_SPEC, str(error))) from error


async def _observe(world: World, service: InferenceService, made: _Made) -> Seen:
    cluster, owner = world.cluster, owner_of(made.resource)
    pods = await children.pods_of(cluster, owner) if made.deployment else []
    waiting = unready(pods)
    running = [pod for pod in waiting if podstatus.running_since(pod, SERVER)]
    pod = podstatus.newest(waiting)
    stuck = pod if pod is not None and pod not in running else None
    return Seen(
        spec=service.spec.predictor,
        previous=service.status or InferenceServiceStatus(),
        url=url(owner),
        generation=made.resource["metadata"]["generation"],
        now=now(),
        model=made.supply.model if made.supply else None,
        models=made.models,
        deployment=made.deployment,
        pods=pods,
        reports={p["metadata"]["name"]: await cluster.report(p, port=HTTP_PORT) for p in running if p is pod},
        claims=await children.claims_of(cluster, stuck) if stuck else {},
        events=await children.events_about(cluster, stuck) if stuck else [],
        obstacle=made.obstacle,
    )

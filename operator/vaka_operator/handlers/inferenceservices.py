"""The reconcile of InferenceServices."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec

from vaka.api.inferenceservice import (
    InferenceService,
    InferenceServiceSpec,
    InferenceServiceStatus,
    Scaling,
)
from vaka.api.reasons import Reason
from vaka_operator import scaling
from vaka_operator.handlers import children, predictors, routing, traffic
from vaka_operator.handlers.models import Known
from vaka_operator.handlers.predictors import Made
from vaka_operator.handlers.world import GONE, LATER_S, Memory, Outcome, World, now, pause, publish
from vaka_operator.manifests.meta import Owner
from vaka_operator.manifests.service import url
from vaka_operator.queue import Key
from vaka_operator.status import rollouts
from vaka_operator.status.inferenceservices import Ingress, Seen, Verdicts, status_of, verdicts_of
from vaka_operator.status.predictor import Part

ASLEEP_S = 0.5
"""How often a service without pods is looked at where nobody listens at its routers."""
COUNTING_S = 2.0
"""How often they are asked where what they count decides."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What the service consists of now."""

    predictor: Made
    shared: traffic.Shared
    scaling: Scaling | None
    rings: Callable[[], Awaitable[bool]]
    """Asks the routers whether a request waits for a pod."""


async def reconcile(world: World, namespace: str, name: str) -> Outcome:
    """Make the InferenceService's children what they should be, and its status what they are."""
    resource = await world.cluster.get("InferenceService", namespace, name)
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        world.memories.pop((namespace, name), None)
        _listen(world, namespace, name, None)
        return GONE
    service = msgspec.convert(resource, InferenceService)
    known = Known(world.cluster, resource, service)
    made = await _act(world, known, service)
    seen = await _observe(world, known, service, made)
    verdicts = verdicts_of(seen)
    status = status_of(seen, verdicts)
    news = rollouts.news(seen.previous.canary, status.canary)
    await publish(world, known.resource, status, before=seen.previous.conditions, more=news)
    await _nudge(world, made, verdicts)
    asleep = made.predictor.replicas == 0
    _listen(world, namespace, name, made.rings if asleep else None)
    if asleep and world.doorbell is None:
        return Outcome(status.state, ASLEEP_S)
    return Outcome(status.state, _again(service.spec, made, verdicts))


def _listen(world: World, namespace: str, name: str, rings: Callable[[], Awaitable[bool]] | None) -> None:
    key = Key("InferenceService", namespace, name)
    if world.doorbell and rings:
        world.doorbell.listen(key, rings)
    elif world.doorbell:
        world.doorbell.leave(key)


async def _act(world: World, known: Known, service: InferenceService) -> _Made:
    """Make the predictor, then the way to it; what serves goes on where something new cannot be had yet."""
    owner, spec, previous = known.owner, service.spec, service.status or InferenceServiceStatus()
    live = await children.deployments_of(world.cluster, owner)
    pods = await children.pods_of(world.cluster, owner) if routing.ROUTER in live else []
    routers = await routing.look(world, owner.of(routing.ROUTER), pods)
    asked = live["predictor"]["spec"].get("replicas", 1) if "predictor" in live else None
    predictor = await predictors.act(
        world,
        owner.of("predictor"),
        spec.predictor,
        known,
        live=live.get("predictor"),
        replicas=_replicas(world, owner, spec, asked, routers),
        closed=routing.is_closed(spec, previous),
        shadow_percent=spec.canary.shadow_percent if spec.canary else 0,
    )
    woken = _woken(previous.scaling, asked, predictor)
    scene = traffic.Scene(
        world=world, owner=owner, service=service, live=live, routers=routers, predictor=predictor
    )
    shared = await traffic.share(scene, known)
    rings = partial(routing.someone_waits, world, owner.of(routing.ROUTER), routers.pods)
    return _Made(predictor=predictor, shared=shared, scaling=woken, rings=rings)


def _replicas(
    world: World, owner: Owner, spec: InferenceServiceSpec, asked: int | None, routers: routing.Routers
) -> int:
    memory = world.memories.setdefault((owner.namespace, owner.name), Memory())
    return scaling.replicas(spec.predictor, asked, routers.load, memory.history, time.monotonic())


def _woken(previous: Scaling | None, asked: int | None, predictor: Made) -> Scaling | None:
    """When the service was woken from zero pods the last time, and how long that took."""
    moment = datetime.now(UTC)
    if asked == 0 and predictor.replicas > 0:
        return Scaling(woken_at=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    waits = previous and previous.woken_at and previous.cold_start_milliseconds is None
    if previous and previous.woken_at and waits and predictor.serves:
        took = moment - datetime.fromisoformat(previous.woken_at)
        return msgspec.structs.replace(previous, cold_start_milliseconds=round(took.total_seconds() * 1000))
    return previous


async def _observe(world: World, known: Known, service: InferenceService, made: _Made) -> Seen:
    owner, shared = known.owner, made.shared
    pods = await children.pods_of(world.cluster, owner)
    router = shared.way.router

    async def observed(part: str, made: Made) -> Part:
        return await predictors.observe(world, owner.of(part), made, pods, known.models)

    return Seen(
        previous=service.status or InferenceServiceStatus(),
        generation=known.resource["metadata"]["generation"],
        now=now(),
        predictor=await observed("predictor", made.predictor),
        canary=await observed("canary", shared.canary) if shared.canary else None,
        ingress=Ingress(
            url=url(owner, secure=bool(service.spec.router and service.spec.router.tls)),
            router=await observed(routing.ROUTER, router) if router else None,
            leads=shared.way.leads,
            obstacle=shared.way.obstacle,
            gateway=shared.way.gateway,
        ),
        rollout=shared.rollout,
        scaling=made.scaling,
        models=known.models,
    )


async def _nudge(world: World, made: _Made, verdicts: Verdicts) -> None:
    """Have refused pods tried again soon."""
    parts = (
        (made.predictor, verdicts.predictor),
        (made.shared.canary, verdicts.canary),
        (made.shared.way.router, verdicts.ingress),
    )
    for part, verdict in parts:
        if part and part.deployment and verdict and verdict.finding.reason is Reason.POD_REFUSED:
            await children.nudge(world.cluster, part.deployment)


def _again(spec: InferenceServiceSpec, made: _Made, verdicts: Verdicts) -> float | None:
    """When to look again at the latest: routers tell of nothing by themselves."""
    waits = [pause(verdict.finding) for verdict in verdicts if not verdict.settled]
    if scaling.is_counted(spec.predictor) or (spec.canary and spec.canary.gates):
        waits.append(COUNTING_S)
    if spec.predictor.min_replicas == 0:
        waits.append(max(COUNTING_S, min(LATER_S, spec.predictor.scale_down_delay / 4)))
    if made.shared.way.router:
        waits.append(LATER_S)
    if made.shared.way.router is None and not made.shared.way.leads:
        waits.append(pause(verdicts.ingress.finding))
    return min(waits, default=None)

"""How the traffic of a service is shared out between its predictor and its canary."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from vaka.api.contract import HTTP_PORT, ShadowReport
from vaka.api.inferenceservice import (
    CanarySpec,
    CanaryStatus,
    InferenceService,
    InferenceServiceSpec,
    InferenceServiceStatus,
)
from vaka_operator.handlers import children, gateways, predictors, routing
from vaka_operator.handlers.models import Known
from vaka_operator.handlers.predictors import Made
from vaka_operator.handlers.routing import ROUTER, Routers, Way
from vaka_operator.handlers.world import Memory, World, now
from vaka_operator.manifests.deployment import SERVER
from vaka_operator.manifests.meta import COMPONENT, JSON, Owner, fingerprint
from vaka_operator.status import gates, rollouts
from vaka_operator.status.pods import is_ready
from vaka_operator.status.predictor import is_rolled_out
from vaka_operator.status.routers import reach_canary

CANARY = "canary"
ASKED_AT_MOST = 32
"""Of how many pods the reports are read: they all compare alike."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a service has when its traffic is looked at."""

    world: World
    owner: Owner
    service: InferenceService
    live: Mapping[str, JSON]
    """Its Deployments, by the part that they are."""
    routers: Routers
    predictor: Made

    @property
    def spec(self) -> InferenceServiceSpec:
        return self.service.spec

    @property
    def previous(self) -> InferenceServiceStatus:
        return self.service.status or InferenceServiceStatus()


@dataclass(frozen=True, kw_only=True)
class Shared:
    """How the traffic goes now."""

    way: Way
    canary: Made | None = None
    rollout: CanaryStatus | None = None


async def share(scene: Scene, known: Known) -> Shared:
    """Make canary, router and public Service what the spec says."""
    if scene.spec.canary is None and CANARY in scene.live:
        return await _retire(scene)
    canary = await _canary(scene, known) if scene.spec.canary else None
    rollout = (
        await _rollout(scene, known, scene.spec.canary, canary) if scene.spec.canary and canary else None
    )
    router = await _router(scene, canary, rollout) if scene.spec.needs_router else None
    way = await routing.lead(scene.world, scene.owner, scene.spec, predictor=scene.predictor, router=router)
    if rollout and router:
        rollout = await _converge(scene, rollout, router, way)
    gateway = scene.spec.router.gateway if scene.spec.router else None
    if router or ROUTER in scene.live:
        way.gateway = await gateways.ensure(scene.world, scene.owner, gateway)
    if router is None and way.leads and ROUTER in scene.live:
        await routing.remove(scene.world, scene.owner.of(ROUTER))
    return Shared(way=way, canary=canary, rollout=rollout)


async def _rollout(scene: Scene, known: Known, spec: CanarySpec, canary: Made) -> CanaryStatus:
    """What the canary shall have now: what the spec says, or what its gates come to."""
    if spec.gates is None:
        return rollouts.wanted(spec, serves=canary.serves)
    memory = scene.world.memories.setdefault((scene.owner.namespace, scene.owner.name), Memory())
    states, previous = scene.routers.states, scene.previous.canary
    shadows = await _shadows(scene) if spec.gates.min_agreement else {}
    if previous:
        memory.begin(previous, states, shadows)  # another operator may have decided it
    there = canary.newest and reach_canary(states)
    target = fingerprint({"spec": msgspec.to_builtins(spec), "models": known.digests(CANARY)})
    decided = gates.decide(
        spec.gates,
        previous,
        target=target,
        serves=gates.is_tried(previous, target=target, serves=canary.serves, newest=there),
        predictor=gates.measured("predictor", states, memory.before),
        canary=gates.measured("canary", states, memory.before),
        shadow=gates.compared(shadows, memory.compared),
        now=now(),
    )
    memory.begin(decided, states, shadows)
    return decided


async def _shadows(scene: Scene) -> dict[str, ShadowReport]:
    """What pods of the predictor say of how often the canary agrees with them."""
    cluster = scene.world.cluster
    pods = await children.pods_of(cluster, scene.owner)
    asked = [p for p in pods if p["metadata"]["labels"].get(COMPONENT) == "predictor" and is_ready(p)]
    said = await asyncio.gather(*(cluster.report(pod, port=HTTP_PORT) for pod in asked[:ASKED_AT_MOST]))
    pairs = zip(asked, said, strict=False)
    return {pod["metadata"]["name"]: r.shadow for pod, r in pairs if r and r.shadow}


async def _canary(scene: Scene, known: Known) -> Made:
    assert scene.spec.canary
    given, live = scene.spec.canary.predictor, scene.live.get(CANARY)
    asked = live["spec"].get("replicas", 1) if live else given.min_replicas
    return await predictors.act(
        scene.world,
        scene.owner.of(CANARY),
        given,
        known,
        live=live,
        replicas=min(max(asked, given.min_replicas), given.most_replicas),
        closed=routing.is_closed(scene.spec, scene.previous),
    )


async def _router(scene: Scene, canary: Made | None, rollout: CanaryStatus | None) -> Made:
    return await routing.ensure_router(
        scene.world,
        scene.owner.of(ROUTER),
        scene.spec,
        live=scene.live.get(ROUTER),
        predictor=scene.predictor,
        canary=canary,
        percent=rollout.traffic_percent if rollout else 0,
    )


async def _converge(scene: Scene, rollout: CanaryStatus, router: Made, way: Way) -> CanaryStatus:
    """Tell the routers what the canary shall have; what they say then is what it has."""
    await routing.set_percent(scene.world, scene.owner.of(ROUTER), scene.routers, rollout.traffic_percent)
    routed = way.leads and is_rolled_out(router.deployment, router.replicas)
    percent = rollouts.in_force(scene.routers.percent, scene.previous.canary, routed=routed)
    return msgspec.structs.replace(rollout, traffic_percent=percent)


async def _retire(scene: Scene) -> Shared:
    """Take away the canary's traffic, and then its pods."""
    world, owner, predictor = scene.world, scene.owner, scene.predictor
    arrived = predictor.obstacle is None and is_rolled_out(predictor.deployment, predictor.replicas)
    rollout = rollouts.retiring(scene.previous.canary, arrived=arrived)
    await routing.set_percent(world, owner.of(ROUTER), scene.routers, rollout.traffic_percent)
    if rollout.traffic_percent == 0 and (scene.routers.percent == 0 or not scene.routers.states):
        await predictors.remove(world, owner.of(CANARY))
    router = _as_it_is(scene.live[ROUTER], ROUTER) if ROUTER in scene.live else None
    way = Way(part=ROUTER, leads=True, router=router)
    return Shared(way=way, canary=_as_it_is(scene.live[CANARY], SERVER), rollout=rollout)


def _as_it_is(live: JSON, container: str) -> Made:
    return Made(replicas=live["spec"].get("replicas", 1), deployment=live, container=container)

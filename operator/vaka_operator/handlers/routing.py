"""The way of requests to the pods of a service: its public Service, and its router where it needs one.

Nothing here drops a request: the Service turns to the router once that is ready, and away from it before it
goes; the canary's part of the traffic is taken away before its pods are.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from vaka.api.contract import ADMIN_PORT
from vaka.api.inferenceservice import InferenceServiceSpec, InferenceServiceStatus
from vaka.api.reasons import Reason
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle
from vaka_operator.handlers.predictors import Made
from vaka_operator.handlers.world import World
from vaka_operator.manifests import router as manifests
from vaka_operator.manifests.meta import COMPONENT, JSON, Owner
from vaka_operator.manifests.service import public_service
from vaka_operator.scaling import Load
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding, find
from vaka_operator.status.routers import RouterState, load_of, percent_of

ROUTER, PREDICTOR = "router", "predictor"
SETTLE = timedelta(seconds=10)
"""So long after the Service has turned to the router, requests may still go straight to the pods."""


@dataclass(kw_only=True)
class Routers:
    """The router pods that may have requests, and what they say."""

    pods: Sequence[JSON] = ()
    states: dict[str, RouterState | None] = field(default_factory=dict)
    """Of those that are ready, by name."""

    @property
    def load(self) -> Load | None:
        return load_of(self.states)

    @property
    def percent(self) -> int | None:
        """The canary's part of the traffic; None while it is not the same everywhere."""
        return percent_of(self.states)


@dataclass(kw_only=True)
class Way:
    """How requests reach the pods now."""

    part: str
    """The part that the public Service leads to."""
    leads: bool
    """That is where it should lead."""
    router: Made | None = None
    obstacle: Finding | None = None
    gateway: Finding | None = None
    """Why a Gateway does not lead to the service."""


async def look(world: World, owner: Owner, pods: Sequence[JSON]) -> Routers:
    """Ask the routers what they do."""
    own = [pod for pod in pods if _is_router(pod) and podstatus.is_alive(pod)]
    ready = [pod for pod in own if podstatus.is_ready(pod)]
    states = await asyncio.gather(*(_state(world, owner, pod) for pod in ready))
    names = [pod["metadata"]["name"] for pod in ready]
    return Routers(pods=own, states=dict(zip(names, states, strict=True)))


async def someone_waits(world: World, owner: Owner, pods: Sequence[JSON]) -> bool:
    """Whether a request has come to one of these routers that no pod has taken."""
    states = await asyncio.gather(*(_state(world, owner, pod) for pod in pods))
    return any(sum(state.predictor.in_flight) > 0 for state in states if state)


async def set_percent(world: World, owner: Owner, routers: Routers, wanted: int) -> None:
    """Have each router give the canary this part of the traffic."""
    for pod in routers.pods:
        name = pod["metadata"]["name"]
        state = routers.states.get(name)
        if state is None or state.canary_percent != wanted:
            answer = await _state(world, owner, pod, canary=wanted)
            if name in routers.states:
                routers.states[name] = answer


async def ensure_router(
    world: World,
    owner: Owner,
    spec: InferenceServiceSpec,
    *,
    live: JSON | None,
    predictor: Made,
    canary: Made | None,
    percent: int,
) -> Made:
    """The router's pods, with the addresses of the parts that it leads to."""
    made = Made(
        replicas=spec.router.replicas if spec.router else 1, deployment=live, container=manifests.ROUTER
    )
    if predictor.address is None or (canary and canary.address is None):
        return made  # what keeps their Services from being made is told already
    try:
        text = manifests.configuration(
            owner,
            spec,
            world.config,
            predictor=predictor.address,
            canary=canary.address if canary else None,
        )
        config_map = manifests.config_map(owner, text, canary_percent=percent)
        for manifest in (config_map, *manifests.router(owner, spec, world.config, text)):
            made.deployment = await children.ensure(world.cluster, owner, manifest)
    except Obstacle as obstacle:
        made.obstacle = obstacle.finding
    except ValueError as error:
        made.obstacle = Finding(Reason.INVALID_SPEC, str(error))
    return made


async def lead(
    world: World, owner: Owner, spec: InferenceServiceSpec, *, predictor: Made, router: Made | None
) -> Way:
    """Have the public Service lead to the router if there is one, else to the predictor, once it serves."""
    wanted = ROUTER if router else PREDICTOR
    way = Way(part=wanted, leads=False, router=router)
    try:
        live = await children.own(world.cluster, owner, kind="Service", name=owner.name)
        serves = (router or predictor).serves
        way.part = wanted if live is None or serves else live["spec"]["selector"].get(COMPONENT, wanted)
        secure = way.part == ROUTER and spec.router is not None and spec.router.tls is not None
        await children.ensure(world.cluster, owner, public_service(owner.of(way.part), secure=secure))
        way.leads = way.part == wanted
    except Obstacle as obstacle:
        way.obstacle = obstacle.finding
    return way


async def remove(world: World, owner: Owner) -> None:
    """Remove the router; its Deployment last, for it is what tells that there is something to remove."""
    for kind in ("NetworkPolicy", "PodDisruptionBudget", "Deployment", "ConfigMap"):
        await children.remove(world.cluster, owner, kind=kind, name=owner.part_name)


def is_closed(spec: InferenceServiceSpec, previous: InferenceServiceStatus) -> bool:
    """Whether only the router may reach the pods: not before all requests go by it."""
    ingress = find(previous.conditions, "IngressReady")
    if not spec.needs_router or not previous.components or not previous.components.router:
        return False
    if ingress is None or ingress.status != "True":
        return False
    return datetime.now(UTC) - datetime.fromisoformat(ingress.last_transition_time) >= SETTLE


def _is_router(pod: JSON) -> bool:
    return bool(pod["metadata"]["labels"].get(COMPONENT) == ROUTER)


async def _state(world: World, owner: Owner, pod: JSON, *, canary: int | None = None) -> RouterState | None:
    path = "/state" if canary is None else f"/state?canary={canary}"
    answer = await world.cluster.ask(
        pod,
        port=ADMIN_PORT,
        path=path,
        method="GET" if canary is None else "PUT",
        token=manifests.token(owner, world.config),
    )
    try:
        return msgspec.json.decode(answer, type=RouterState) if answer is not None else None
    except msgspec.DecodeError:
        return None

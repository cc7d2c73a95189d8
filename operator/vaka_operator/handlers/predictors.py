"""A predictor's Deployment and what goes with it: for the predictor of a service, and for its canary."""

from collections.abc import Sequence
from dataclasses import dataclass

from vaka.api.contract import HTTP_PORT
from vaka.api.inferenceservice import PredictorSpec
from vaka.api.reasons import Reason
from vaka.api.servedmodel import ResolvedModel
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle
from vaka_operator.handlers.models import Known
from vaka_operator.handlers.world import World
from vaka_operator.manifests.autoscaler import autoscaler, is_autoscaled
from vaka_operator.manifests.deployment import SERVER, deployment, surroundings
from vaka_operator.manifests.meta import COMPONENT, JSON, Owner
from vaka_operator.manifests.models import Model, Supply
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding
from vaka_operator.status.predictor import Part, is_of_one_kind, unready


@dataclass(kw_only=True)
class Made:
    """What a part consists of now, and why that is not what it should be."""

    replicas: int
    deployment: JSON | None
    container: str = SERVER
    model: Model | None = None
    address: str | None = None
    """Of its Service, without port."""
    obstacle: Finding | None = None

    @property
    def serves(self) -> bool:
        """Whether some pod of it is ready."""
        return bool((self.deployment or {}).get("status", {}).get("readyReplicas"))

    @property
    def newest(self) -> bool:
        """Whether its pods are what they should be, and no former one is left."""
        return self.obstacle is None and is_of_one_kind(self.deployment)


async def act(
    world: World,
    owner: Owner,
    spec: PredictorSpec,
    known: Known,
    *,
    live: JSON | None,
    replicas: int,
    closed: bool,
    shadow_percent: float = 0,
) -> Made:
    """Make the part; what serves already goes on where something new cannot be had yet.

    Args:
        owner: for the part.
        known: what the references to its models come to.
        live: its Deployment, if there is one.
        replicas: how many pods it shall have.
        closed: only the router may reach its pods.
        shadow_percent: the part of its requests that the canary is asked as well.
    """
    made = Made(replicas=replicas, deployment=live)
    try:
        for manifest in surroundings(owner, world.config, closed=closed):
            child = await children.ensure(world.cluster, owner, manifest)
            if child["kind"] == "Service":
                made.address = child["spec"]["clusterIP"]
        supply = await known.supply(owner.component, spec.model)
        made.model = supply.model
        for manifest in supply.claims(owner):
            await children.ensure(world.cluster, owner, manifest)
        desired = _desired(world, owner, spec, supply, replicas=replicas, shadow_percent=shadow_percent)
        if live and is_autoscaled(spec):  # never undo what the autoscaler has done since it was read
            desired["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        made.deployment = await children.ensure(world.cluster, owner, desired)
        await _autoscale(world, owner, spec)
    except Obstacle as obstacle:
        made.obstacle = obstacle.finding
    return made


async def remove(world: World, owner: Owner) -> None:
    """Remove the part; its Deployment last, for it is what tells that there is something to remove."""
    for kind in ("HorizontalPodAutoscaler", "Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment"):
        await children.remove(world.cluster, owner, kind=kind, name=owner.part_name)


async def observe(
    world: World, owner: Owner, made: Made, pods: Sequence[JSON], models: Sequence[ResolvedModel]
) -> Part:
    """How the part fares.

    Args:
        pods: those of the whole service.
        models: what references to TrainingJobs came to.
    """
    cluster = world.cluster
    own = [pod for pod in pods if pod["metadata"]["labels"].get(COMPONENT) == owner.component]
    waiting = unready(own)
    running = [pod for pod in waiting if podstatus.running_since(pod, made.container)]
    pod = podstatus.newest(waiting)
    stuck = pod if pod is not None and pod not in running else None
    reporting = [p for p in running if p is pod] if made.container == SERVER else []
    return Part(
        replicas=made.replicas,
        container=made.container,
        model=made.model,
        origin=next((model for model in models if model.name == owner.component), None),
        deployment=made.deployment,
        pods=own,
        reports={p["metadata"]["name"]: await cluster.report(p, port=HTTP_PORT) for p in reporting},
        claims=await children.claims_of(cluster, stuck) if stuck else {},
        events=await children.events_about(cluster, stuck) if stuck else [],
        obstacle=made.obstacle,
    )


def _desired(
    world: World, owner: Owner, spec: PredictorSpec, supply: Supply, *, replicas: int, shadow_percent: float
) -> JSON:
    try:
        return deployment(owner, spec, supply, world.config, replicas=replicas, shadow_percent=shadow_percent)
    except ValueError as error:
        raise Obstacle(Finding(Reason.INVALID_SPEC, str(error))) from error


async def _autoscale(world: World, owner: Owner, spec: PredictorSpec) -> None:
    if is_autoscaled(spec):
        await children.ensure(world.cluster, owner, autoscaler(owner, spec))
    else:
        await children.remove(world.cluster, owner, kind="HorizontalPodAutoscaler", name=owner.part_name)

"""The HTTPRoute by which a Gateway leads to a service, where its spec names one."""

from vaka.api.reasons import Reason
from vaka.api.router import GatewayRef
from vaka_operator.handlers import children
from vaka_operator.handlers.children import Obstacle
from vaka_operator.handlers.world import World
from vaka_operator.manifests.httproute import http_route
from vaka_operator.manifests.meta import JSON, Owner
from vaka_operator.status.conditions import Finding

KIND = "HTTPRoute"


async def ensure(world: World, owner: Owner, gateway: GatewayRef | None) -> Finding | None:
    """Why the Gateway does not lead to the service, None where it does or none is wanted."""
    if gateway is None:
        await children.remove(world.cluster, owner, kind=KIND, name=owner.name)
        return None
    if not await world.cluster.knows(KIND):
        told = "spec.router.gateway is given, and the cluster has no Gateway API: install it, or take it out"
        return Finding(Reason.GATEWAY_API_MISSING, told)
    try:
        route = await children.ensure(world.cluster, owner, http_route(owner, gateway))
    except Obstacle as obstacle:
        return obstacle.finding
    return _judged(route, gateway)


def _judged(route: JSON, gateway: GatewayRef) -> Finding | None:
    """What the Gateway's controller says of the route."""
    for parent in route.get("status", {}).get("parents", []):
        for condition in parent.get("conditions", []):
            if condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False":
                told = f"the Gateway {gateway.name} does not take the route: {condition.get('message', '')}"
                return Finding(Reason.GATEWAY_PENDING, told)
    if not route.get("status", {}).get("parents"):
        return Finding(
            Reason.GATEWAY_PENDING, f"no controller has answered for the Gateway {gateway.name} yet"
        )
    return None

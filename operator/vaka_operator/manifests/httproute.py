"""How a Gateway of the Gateway API leads to a service: https://gateway-api.sigs.k8s.io/api-types/httproute/"""

from vaka.api.router import GatewayRef
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.manifests.service import HTTP


def http_route(owner: Owner, gateway: GatewayRef) -> JSON:
    """All requests go to the public Service: who answers them is decided by the router in one place."""
    parent = {"name": gateway.name} | ({"namespace": gateway.namespace} if gateway.namespace else {})
    return child(
        owner,
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        name=owner.name,
        spec={
            "parentRefs": [parent],
            **({"hostnames": [gateway.hostname]} if gateway.hostname else {}),
            "rules": [{"backendRefs": [{"name": owner.name, "port": HTTP}]}],
        },
    )

"""Addresses: of a served model, and of the pods that train together."""

from vaka_operator.manifests.meta import JSON, Owner, child


def service(owner: Owner) -> JSON:
    spec = {
        "selector": owner.selector,
        "ports": [
            {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
        ],
    }
    return child(owner, api_version="v1", kind="Service", name=owner.name, spec=spec)


def headless(owner: Owner, *, name: str, port: int) -> JSON:
    """A name in DNS for each pod, also before it is ready: they have to meet to become so."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": owner.selector,
        "ports": [{"name": "rendezvous", "port": port, "targetPort": port, "protocol": "TCP"}],
    }
    return child(owner, api_version="v1", kind="Service", name=name, spec=spec)


def url(owner: Owner) -> str:
    return f"http://{owner.name}.{owner.namespace}.svc.cluster.local"

"""Addresses: of a served model, and of the pods that train together."""

from vaka.api.contract import GRPC_PORT
from vaka_operator.manifests.meta import JSON, Owner, child

HTTP, HTTPS = 80, 443


def public_service(owner: Owner, *, secure: bool) -> JSON:
    """The address that people use; it leads to the pods of the part that the owner names."""
    port = _port("https", HTTPS, "http") if secure else _port("http", HTTP, "http")
    grpc = _port("grpc", GRPC_PORT, "grpc")
    return _service(owner, name=owner.name, ports=[port, grpc])


def part_service(owner: Owner) -> JSON:
    """The address by which the router reaches the pods of one part."""
    ports = [_port("http", HTTP, "http"), _port("grpc", GRPC_PORT, "grpc")]
    return _service(owner, name=owner.part_name, ports=ports)


def headless(owner: Owner, *, name: str, port: int) -> JSON:
    """A name in DNS for each pod, also before it is ready: they have to meet to become so."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": owner.selector,
        "ports": [{"name": "rendezvous", "port": port, "targetPort": port, "protocol": "TCP"}],
    }
    return child(owner, api_version="v1", kind="Service", name=name, spec=spec)


def url(owner: Owner, *, secure: bool) -> str:
    return f"{'https' if secure else 'http'}://{owner.name}.{owner.namespace}.svc.cluster.local"


def _service(owner: Owner, *, name: str, ports: list[JSON]) -> JSON:
    return child(
        owner, api_version="v1", kind="Service", name=name, spec={"selector": owner.pods, "ports": ports}
    )


def _port(name: str, port: int, target: str) -> JSON:
    protocol = "kubernetes.io/h2c" if name == "grpc" else name
    return {
        "name": name,
        "port": port,
        "targetPort": target,
        "protocol": "TCP",
        "appProtocol": protocol,
    }

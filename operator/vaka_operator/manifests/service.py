"""The stable address of a served model."""

from vaka_operator.manifests.meta import JSON, Owner, child


def service(owner: Owner) -> JSON:
    spec = {
        "selector": owner.selector,
        "ports": [
            {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
        ],
    }
    return child(owner, api_version="v1", kind="Service", name=owner.name, spec=spec)


def url(owner: Owner) -> str:
    return f"http://{owner.name}.{owner.namespace}.svc.cluster.local"

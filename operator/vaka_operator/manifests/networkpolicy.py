"""Pods answer on their one port and nowhere else."""

from vaka_operator.manifests.meta import JSON, Owner, child


def network_policy(owner: Owner, *, name: str, port: int, among_themselves: bool = False) -> JSON:
    """Let only `port` of the owner's pods be reached; what they reach is not limited.

    Args:
        among_themselves: the owner's pods reach each other on every port.
    """
    peers = [{"from": [{"podSelector": {"matchLabels": owner.selector}}]}]
    spec = {
        "podSelector": {"matchLabels": owner.selector},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": port}]}, *(peers if among_themselves else [])],
    }
    return child(owner, api_version="networking.k8s.io/v1", kind="NetworkPolicy", name=name, spec=spec)

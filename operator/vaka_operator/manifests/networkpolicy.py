"""Pods answer on their own ports and nowhere else."""

from collections.abc import Sequence

from vaka_operator.manifests.meta import JSON, Owner, child


def network_policy(
    owner: Owner,
    *,
    name: str,
    ports: Sequence[int],
    among_themselves: bool = False,
    peers: Sequence[JSON] = (),
) -> JSON:
    """Let only these ports of the owner's pods be reached; what they reach is not limited.

    Args:
        among_themselves: the owner's pods reach each other on every port.
        peers: who may reach them; without any, everybody.
    """
    themselves = [{"from": [{"podSelector": {"matchLabels": owner.pods}}]}]
    others = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
    spec = {
        "podSelector": {"matchLabels": owner.pods},
        "policyTypes": ["Ingress"],
        "ingress": [
            others | ({"from": list(peers)} if peers else {}),
            *(themselves if among_themselves else []),
        ],
    }
    return child(owner, api_version="networking.k8s.io/v1", kind="NetworkPolicy", name=name, spec=spec)

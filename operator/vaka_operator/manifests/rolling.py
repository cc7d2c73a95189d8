"""Deployments whose pods are replaced one by one, each only once the next is ready."""

from vaka_operator.manifests.meta import JSON, Owner, child


def rolling(owner: Owner, template: JSON, *, replicas: int) -> JSON:
    """The Deployment of the part that the owner names."""
    return child(
        owner,
        api_version="apps/v1",
        kind="Deployment",
        name=owner.part_name,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": owner.pods},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 600,
            "template": template,
        },
    )

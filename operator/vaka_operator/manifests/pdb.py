"""How many pods of a service a drain may take away at once."""

from vaka_operator.manifests.meta import JSON, Owner, child


def disruption_budget(owner: Owner) -> JSON:
    """One pod at a time, and any that is broken: replicas keep serving, and no drain waits for ever."""
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": owner.pods},
    }
    return child(owner, api_version="policy/v1", kind="PodDisruptionBudget", name=owner.part_name, spec=spec)

"""Kubernetes' own autoscaler, for a predictor that scales by CPU."""

from vaka.api.inferenceservice import PredictorSpec
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.scaling import target


def is_autoscaled(spec: PredictorSpec) -> bool:
    """Whether Kubernetes decides how many pods there are."""
    return spec.scales and spec.scale_metric == "cpu"


def autoscaler(owner: Owner, spec: PredictorSpec) -> JSON:
    """It leaves a Deployment of zero pods alone, so waking and sleeping stay with the operator."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target(spec)}}
    window = {"stabilizationWindowSeconds": min(spec.scale_down_delay, 3600)}
    return child(
        owner,
        api_version="autoscaling/v2",
        kind="HorizontalPodAutoscaler",
        name=owner.part_name,
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner.part_name},
            "minReplicas": max(spec.min_replicas, 1),
            "maxReplicas": spec.most_replicas,
            "metrics": [{"type": "Resource", "resource": cpu}],
            "behavior": {"scaleDown": window},
        },
    )

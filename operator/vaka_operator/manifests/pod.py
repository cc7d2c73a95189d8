"""Pods that PodSecurity `restricted` admits: what trainer, server and router have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from vaka.api.contract import SCRATCH_MOUNT
from vaka.api.inferenceservice import PredictorSpec
from vaka.api.trainingjob import TrainerSpec
from vaka.api.types import Resources
from vaka_operator.manifests.meta import JSON, OWNER, Owner

SCRATCH = "scratch"
"""Volume of every pod: the only place besides its mounts that can be written."""
NOBODY = 65532
"""User and group of every container: the nonroot user of distroless images."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """The container that does the work of a pod."""

    name: str
    image: str
    pull_policy: str
    command: Sequence[str]
    args: Sequence[str] = ()
    env: Sequence[JSON] = ()
    secrets: Sequence[str] = ()
    ports: Mapping[str, int]
    """By name; the first one has the metrics."""
    mounts: Sequence[JSON] = ()
    resources: JSON
    probes: JSON = field(default_factory=dict)

    def manifest(self) -> JSON:
        return _hardened(
            {
                "name": self.name,
                "image": self.image,
                "imagePullPolicy": self.pull_policy,
                **({"command": list(self.command)} if self.command else {}),
                **({"args": list(self.args)} if self.args else {}),
                **({"env": list(self.env)} if self.env else {}),
                **({"envFrom": [{"secretRef": {"name": s}} for s in self.secrets]} if self.secrets else {}),
                "ports": [
                    {"name": name, "containerPort": port, "protocol": "TCP"}
                    for name, port in self.ports.items()
                ],
                "resources": self.resources,
                "volumeMounts": [*self.mounts, {"name": SCRATCH, "mountPath": SCRATCH_MOUNT}],
                "terminationMessagePolicy": "FallbackToLogsOnError",
                **self.probes,
            }
        )


def copier(*, image: str, pull_policy: str, source: str, mount: JSON) -> JSON:
    """An init container that copies a folder of its image into a volume."""
    return _hardened(
        {
            "name": "copy-dataset",
            "image": image,
            "imagePullPolicy": pull_policy,
            "command": ["cp", "-r", f"{source}/.", mount["mountPath"]],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            "volumeMounts": [{"name": mount["name"], "mountPath": mount["mountPath"]}],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )


def template(
    container: Container,
    *,
    owner: Owner,
    annotations: dict[str, str],
    volumes: Sequence[JSON],
    placement: TrainerSpec | PredictorSpec,
    init: Sequence[JSON] = (),
    **spec: object,
) -> JSON:
    """The pod template; `spec` holds further fields of the pod."""
    standard = {
        OWNER: owner.uid,
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(next(iter(container.ports.values()))),
        "prometheus.io/path": "/metrics",
    }
    return {
        "metadata": {"labels": owner.labels, "annotations": standard | annotations},
        "spec": {
            **spec,
            **_placement(placement),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": NOBODY,
                "runAsGroup": NOBODY,
                "fsGroup": NOBODY,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            **({"initContainers": list(init)} if init else {}),
            "containers": [container.manifest()],
            "volumes": [*volumes, {"name": SCRATCH, "emptyDir": {}}],
        },
    }


def environment(own: Sequence[JSON], given: TrainerSpec | PredictorSpec, *, field: str) -> list[JSON]:
    """Our variables, then those of the spec; ValueError for a name that is taken or given twice."""
    result = [*own, *(msgspec.to_builtins(variable) for variable in given.env)]
    seen = {variable["name"] for variable in own}
    for variable in given.env:
        if variable.name in seen:
            taken = (
                "is set by the operator" if variable.name in {v["name"] for v in own} else "is given twice"
            )
            raise ValueError(f"{field}: {variable.name} {taken}: leave one of them out")
        seen.add(variable.name)
    return result


def resources(given: Resources | None, *, requests: dict[str, str]) -> JSON:
    """What is given, and a default request where neither a request nor a limit is (a limit is one)."""
    given = given or Resources()
    limits = given.limits or {}
    default = {name: value for name, value in requests.items() if name not in limits}
    return {
        "requests": default | (given.requests or {}),
        **({"limits": limits} if limits else {}),
    }


def _placement(given: TrainerSpec | PredictorSpec) -> JSON:
    return {
        **({"nodeSelector": given.node_selector} if given.node_selector else {}),
        **({"tolerations": msgspec.to_builtins(given.tolerations)} if given.tolerations else {}),
        **({"priorityClassName": given.priority_class_name} if given.priority_class_name else {}),
    }


def _hardened(container: JSON) -> JSON:
    return container | {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    }

"""Nodes that kwok (https://kwok.sigs.k8s.io) pretends to run: their objects and what happens on them."""

from __future__ import annotations

Manifest = dict[str, object]

_NOW = "{{ Now | Quote }}"
_NOT_DELETED: Manifest = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}


def fake_nodes(count: int) -> Manifest:
    """The nodes ``fake-0``, ``fake-1`` and so on."""
    size = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    nodes = [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {"allocatable": size, "capacity": size},
        }
        for name in (f"fake-{index}" for index in range(count))
    ]
    return {"apiVersion": "v1", "kind": "List", "items": nodes}


def stages() -> list[Manifest]:
    """Nodes are Ready; pods become Running, those of Jobs then Succeeded; deleted ones go at once."""
    return [
        _stage("node-ready", "Node", [_unlike_ready()], statusTemplate=_ready_node()),
        _stage("pod-running", "Pod", [_NOT_DELETED, _phase("Pending")], statusTemplate=_running_pod()),
        _stage(
            "pod-succeeded",
            "Pod",
            [_NOT_DELETED, _phase("Running"), _in(".metadata.ownerReferences.[].kind", "Job")],
            statusTemplate=_succeeded_pod(),
        ),
        _stage(
            "pod-gone",
            "Pod",
            [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}],
            delete=True,
        ),
    ]


def _stage(name: str, kind: str, expressions: list[Manifest], **following: object) -> Manifest:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": expressions},
            "next": following,
        },
    }


def _in(key: str, value: str) -> Manifest:
    return {"key": key, "operator": "In", "values": [value]}


def _phase(phase: str) -> Manifest:
    return _in(".status.phase", phase)


def _unlike_ready() -> Manifest:
    ready = '.status.conditions.[] | select( .type == "Ready" ) | .status'
    return {"key": ready, "operator": "NotIn", "values": ["True"]}


def _condition(kind: str) -> str:
    return f'{{type: {kind}, status: "True", lastTransitionTime: {_NOW}}}'


def _ready_node() -> str:
    return f"conditions: [{_condition('Ready')}]\nphase: Running\n"


def _running_pod() -> str:
    conditions = ", ".join(_condition(kind) for kind in ("Initialized", "Ready", "ContainersReady"))
    state = f"{{running: {{startedAt: {_NOW}}}}}"
    return f"phase: Running\nstartTime: {_NOW}\nconditions: [{conditions}]\n{_containers(state, ready=True)}"


def _succeeded_pod() -> str:
    state = f"{{terminated: {{exitCode: 0, reason: Completed, startedAt: {_NOW}, finishedAt: {_NOW}}}}}"
    return f"phase: Succeeded\n{_containers(state, ready=False)}"


def _containers(state: str, *, ready: bool) -> str:
    """The status of each container, as a Go template of YAML."""
    return (
        "containerStatuses:\n{{ range .spec.containers }}"
        "- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, restartCount: 0, "
        f"ready: {str(ready).lower()}, state: {state}}}\n{{{{ end }}}}"
    )

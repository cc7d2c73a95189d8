"""What a fresh cluster holds besides what Kubernetes creates: API objects, as pure data.

CoreDNS, metrics-server and the provisioner run beside kubelet, not in pods; for those who look them up
there are the usual Services in ``kube-system``, which point at the node.
"""

from __future__ import annotations

import base64

from vaka.devcluster.node import METRICS_PORT
from vaka.devcluster.spec import DNS_ADDRESS, NODE_ADDRESS

Manifest = dict[str, object]

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]


def addons(authority: bytes) -> Manifest:
    """All objects as one list.

    Args:
        authority: PEM certificate of whoever signed metrics-server's certificate.
    """
    items = [*_storage(), *_dns(), *_metrics(authority)]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _storage() -> list[Manifest]:
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "vaka.dev/folder",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        _binding("system:folder-provisioner", "system:persistent-volume-provisioner"),
    ]


def _dns() -> list[Manifest]:
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    ]
    ports: list[Manifest] = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return [
        _cluster_role("system:coredns", rules),
        _binding("system:coredns", "system:coredns"),
        *_service_on_node("kube-dns", ports, ports, clusterIP=DNS_ADDRESS),
    ]


def _metrics(authority: bytes) -> list[Manifest]:
    user = "system:metrics-server"
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": _READ},
    ]
    port: Manifest = {"name": "https", "protocol": "TCP"}
    return [
        _cluster_role(user, rules),
        _binding(user, user),
        _binding(user, "system:auth-delegator"),
        _authentication_reader(user),
        *_service_on_node("metrics-server", [{**port, "port": 443}], [{**port, "port": METRICS_PORT}]),
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": "metrics-server", "namespace": "kube-system"},
                "caBundle": base64.b64encode(authority).decode(),
            },
        },
    ]


def _service_on_node(
    name: str, ports: list[Manifest], targets: list[Manifest], **spec: object
) -> list[Manifest]:
    """A Service without selector and the one endpoint behind it."""
    metadata: Manifest = {"name": name, "namespace": "kube-system", "labels": {"k8s-app": name}}
    slice_labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "vaka"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports, **spec}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": slice_labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": targets,
        },
    ]


def _cluster_role(name: str, rules: list[dict[str, list[str]]]) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(user: str, role: str) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"vaka:{user}:{role}"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
    }


def _authentication_reader(user: str) -> Manifest:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"vaka:{user}:authentication-reader", "namespace": "kube-system"},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "extension-apiserver-authentication-reader"},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
    }

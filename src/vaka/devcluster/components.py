"""The programs of a control plane: their command lines, as pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.pki import Identity
from vaka.devcluster.spec import LOOPBACK, POD_NETWORK, SERVICE_ADDRESS, SERVICE_NETWORK, ClusterSpec

API_SERVER = "kube-apiserver"
ETCD = "unix://etcd.sock:0"  # relative to the data folder; reached by nobody who may not read that folder


@dataclass(frozen=True, kw_only=True)
class Component:
    """A program that the supervisor keeps running; or, with ``once``, runs until it succeeds."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()  # components that must be ready first
    health: str = ""  # URL that answers 200, or path of a Unix socket that accepts; "" means ready at once
    once: bool = False


def control_plane(folder: ClusterFolder, spec: ClusterSpec) -> tuple[Component, ...]:
    return (
        _etcd(folder),
        _api_server(folder, spec),
        _controller_manager(folder, spec),
        _scheduler(folder, spec),
    )


def bare_components(folder: ClusterFolder, spec: ClusterSpec) -> tuple[Component, ...]:
    """A control plane, ready when pods can be created; with fake nodes where they are asked for."""
    fake = (
        _kwok(folder, spec),
        kubectl_once(folder, "nodes", "apply", "-f", str(folder.etc / "nodes.json")),
        kubectl_once(folder, "nodes-ready", "wait", "--for=condition=Ready", "nodes", "--all"),
    )
    return (
        *control_plane(folder, spec),
        kubectl_once(folder, "default-account", "wait", "--for=create", "serviceaccount/default"),
        *(fake if spec.fake_nodes else ()),
    )


def control_plane_identities(spec: ClusterSpec) -> dict[str, Identity]:
    """Certificate file name -> whom it speaks for, signed by the cluster's authority."""
    api_hosts = (
        *dict.fromkeys((LOOPBACK, spec.address, SERVICE_ADDRESS)),
        *("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
        "kubernetes.default.svc.cluster.local",
    )
    return {
        "admin": Identity("vaka-admin", "system:masters"),
        "apiserver": Identity("kube-apiserver", hosts=api_hosts),
        "apiserver-kubelet-client": Identity("kube-apiserver-kubelet-client", "system:masters"),
        "controller-manager": Identity("system:kube-controller-manager"),
        "scheduler": Identity("system:kube-scheduler"),
    }


FRONT_PROXY_IDENTITIES = {"front-proxy-client": Identity("front-proxy-client")}


def kubectl_once(folder: ClusterFolder, name: str, *arguments: str) -> Component:
    argv = (str(folder.bin / "kubectl"), "--kubeconfig", str(kubeconfig_of(folder, "admin")), *arguments)
    return Component(name=name, argv=argv, needs=(API_SERVER,), once=True)


def kubeconfig_of(folder: ClusterFolder, user: str) -> str:
    """The kubeconfig of one component, which reaches the API server from inside the cluster."""
    return str(folder.etc / f"{user}.kubeconfig")


def command(folder: ClusterFolder, program: str, flags: Mapping[str, object]) -> tuple[str, ...]:
    return (str(folder.bin / program), *(f"--{flag}={value}" for flag, value in flags.items()))


def _etcd(folder: ClusterFolder) -> Component:
    peer = "unix://peer.sock:0"
    flags = {
        "data-dir": "etcd",
        "unsafe-no-fsync": "true",  # the data need not survive a loss of power
        "listen-client-urls": ETCD,
        "advertise-client-urls": ETCD,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "log-level": "warn",
    }
    return Component(
        name="etcd",
        argv=command(folder, "etcd", flags),
        health=str(folder.data / ETCD.removeprefix("unix://")),
    )


def _api_server(folder: ClusterFolder, spec: ClusterSpec) -> Component:
    pki = folder.pki
    flags = {
        "etcd-servers": ETCD,
        "secure-port": spec.api_port,
        "service-cluster-ip-range": SERVICE_NETWORK,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-signing-key-file": pki / "service-account.key",
        "service-account-key-file": pki / "service-account.pub",
        "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pki / "front-proxy-client.crt",
        "proxy-client-key-file": pki / "front-proxy-client.key",
    }
    where = _on_loopback() if spec.bare else _on_the_node(folder, spec)
    return Component(
        name=API_SERVER,
        argv=command(folder, API_SERVER, flags | where),
        needs=("etcd",),
        health=f"{spec.inner_url}/readyz",
    )


def _on_loopback() -> dict[str, object]:
    """Loopback may not be an endpoint of the Service ``kubernetes``, so there that Service has none."""
    return {"bind-address": LOOPBACK, "advertise-address": LOOPBACK, "endpoint-reconciler-type": "none"}


def _on_the_node(folder: ClusterFolder, spec: ClusterSpec) -> dict[str, object]:
    return {
        "advertise-address": spec.address,
        "kubelet-preferred-address-types": "InternalIP",  # the node's name is in no DNS
        "kubelet-certificate-authority": folder.pki / "ca.crt",
        "kubelet-client-certificate": folder.pki / "apiserver-kubelet-client.crt",
        "kubelet-client-key": folder.pki / "apiserver-kubelet-client.key",
    }


def _controller_manager(folder: ClusterFolder, spec: ClusterSpec) -> Component:
    kubeconfig = kubeconfig_of(folder, "controller-manager")
    flags = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": LOOPBACK,
        "secure-port": spec.controller_manager_port,
        "leader-elect": "false",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": folder.pki / "service-account.key",
        "root-ca-file": folder.pki / "ca.crt",
        "cluster-signing-cert-file": folder.pki / "ca.crt",
        "cluster-signing-key-file": folder.pki / "ca.key",
        "cluster-cidr": POD_NETWORK,
        "flex-volume-plugin-dir": folder.data / "plugins",
        "kube-api-qps": 500,  # the default of 20 makes the start take five seconds longer
        "kube-api-burst": 1000,
        "horizontal-pod-autoscaler-sync-period": "5s",  # whoever tries scaling out is waiting for it
    }
    return Component(
        name="kube-controller-manager",
        argv=command(folder, "kube-controller-manager", flags),
        needs=(API_SERVER,),
        health=f"https://{LOOPBACK}:{spec.controller_manager_port}/healthz",
    )


def _scheduler(folder: ClusterFolder, spec: ClusterSpec) -> Component:
    kubeconfig = kubeconfig_of(folder, "scheduler")
    flags = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": LOOPBACK,
        "secure-port": spec.scheduler_port,
        "leader-elect": "false",
    }
    return Component(
        name="kube-scheduler",
        argv=command(folder, "kube-scheduler", flags),
        needs=(API_SERVER,),
        health=f"https://{LOOPBACK}:{spec.scheduler_port}/healthz",
    )


def _kwok(folder: ClusterFolder, spec: ClusterSpec) -> Component:
    flags = {
        "kubeconfig": kubeconfig_of(folder, "admin"),
        "config": folder.etc / "stages.yaml",
        "manage-all-nodes": "true",
        "node-lease-duration-seconds": 40,
        "server-address": f"{LOOPBACK}:{spec.kwok_port}",
    }
    return Component(
        name="kwok",
        argv=command(folder, "kwok", flags),
        needs=(API_SERVER,),
        health=f"http://{LOOPBACK}:{spec.kwok_port}/healthz",
    )

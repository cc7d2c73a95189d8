"""What makes the control plane's machine a node: command lines and configuration files, as pure data."""

from __future__ import annotations

from vaka.devcluster.components import (
    API_SERVER,
    Component,
    command,
    control_plane,
    kubeconfig_of,
    kubectl_once,
)
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.pki import Identity
from vaka.devcluster.spec import (
    DNS_ADDRESS,
    LOOPBACK,
    NODE_ADDRESS,
    NODE_NAME,
    POD_NETWORK,
    ClusterSpec,
)

CNI_PLUGINS = "/usr/lib/cni"
CONTAINERD = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "vaka.dev/pause:1"
METRICS_PORT = 4443


def embedded_components(folder: ClusterFolder, spec: ClusterSpec) -> tuple[Component, ...]:
    """A control plane and one node, ready when pods can run and find each other by name."""
    return (
        *control_plane(folder, spec),
        Component(
            name="containerd",
            argv=("containerd", "--config", str(folder.etc / "containerd.toml"), "--log-level", "warn"),
            health=CONTAINERD,
        ),
        Component(
            name="pause-image",
            argv=("ctr", "--namespace", "k8s.io", "images", "import", str(folder.etc / "pause.tar")),
            needs=("containerd",),
            once=True,
        ),
        _kubelet(folder),
        _kube_proxy(folder),
        _coredns(folder),
        _metrics_server(folder),
        _provisioner(folder),
        kubectl_once(folder, "addons", "apply", "-f", str(folder.etc / "addons.json")),
        kubectl_once(folder, "default-account", "wait", "--for=create", "serviceaccount/default"),
        kubectl_once(folder, "node", "wait", "--for=condition=Ready", f"node/{NODE_NAME}"),
    )


def node_identities() -> dict[str, Identity]:
    """Certificate file name -> whom it speaks for, signed by the cluster's authority."""
    return {
        "kubelet": Identity(f"system:node:{NODE_NAME}", "system:nodes"),
        "kubelet-server": Identity(NODE_NAME, hosts=(NODE_NAME, NODE_ADDRESS)),
        "kube-proxy": Identity("system:kube-proxy"),
        "coredns": Identity("system:coredns"),
        "metrics-server": Identity("system:metrics-server"),
        "metrics-server-server": Identity(
            "metrics-server", hosts=("metrics-server.kube-system.svc", NODE_ADDRESS)
        ),
        "provisioner": Identity("system:folder-provisioner"),
    }


def kubelet_config(folder: ClusterFolder, *, cgroup: str) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "x509": {"clientCAFile": str(folder.pki / "ca.crt")},
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(folder.pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(folder.pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_ADDRESS],
        "resolvConf": str(folder.etc / "resolv.conf"),  # the host's name servers are out of reach
        # A disk that fills up must not cost images that were loaded by hand: nothing could pull them again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "volumePluginDir": str(folder.data / "plugins"),
        "makeIPTablesUtilChains": False,
    }


def kube_proxy_config(folder: ClusterFolder) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig_of(folder, "kube-proxy")},
        "mode": "nftables",
        "nftables": {"minSyncPeriod": "100ms"},
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NODE_NAME,
        "healthzBindAddress": f"{LOOPBACK}:10256",
        "metricsBindAddress": f"{LOOPBACK}:10249",
        "conntrack": {"maxPerCore": 0},  # the limit is the host's, and not to be set from inside
    }


def cni_config() -> dict[str, object]:
    """Routed point-to-point links: on a bridge, answers from a pod to its neighbour would bypass NAT."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd_config(folder: ClusterFolder) -> str:
    return f"""\
version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Where negative scores are not permitted, no container would start.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{folder.etc / "cni"}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def corefile(folder: ClusterFolder) -> str:
    """Names of the cluster, and a quick no to all others, which nothing here could resolve."""
    return f"""\
cluster.local in-addr.arpa ip6.arpa {{
  bind {NODE_ADDRESS}
  errors
  ready {LOOPBACK}:8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig_of(folder, "coredns")}
    pods insecure
    ttl 5
  }}
}}
. {{
  bind {NODE_ADDRESS}
  errors
  template ANY ANY . {{
    rcode NXDOMAIN
  }}
}}
"""


def _kubelet(folder: ClusterFolder) -> Component:
    flags = {
        "config": folder.etc / "kubelet.json",
        "kubeconfig": kubeconfig_of(folder, "kubelet"),
        "node-ip": NODE_ADDRESS,
        "hostname-override": NODE_NAME,
    }
    return Component(
        name="kubelet",
        argv=command(folder, "kubelet", flags),
        needs=("pause-image", API_SERVER),
        health=f"http://{LOOPBACK}:10248/healthz",
    )


def _kube_proxy(folder: ClusterFolder) -> Component:
    return Component(
        name="kube-proxy",
        argv=command(folder, "kube-proxy", {"config": folder.etc / "kube-proxy.json"}),
        needs=(API_SERVER,),
        health=f"http://{LOOPBACK}:10256/healthz",
    )


def _coredns(folder: ClusterFolder) -> Component:
    return Component(
        name="coredns",
        argv=(str(folder.bin / "coredns"), "-conf", str(folder.etc / "Corefile")),
        needs=("addons",),
        health=f"http://{LOOPBACK}:8181/ready",
    )


def _metrics_server(folder: ClusterFolder) -> Component:
    kubeconfig = kubeconfig_of(folder, "metrics-server")
    flags = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": NODE_ADDRESS,
        "secure-port": METRICS_PORT,
        "tls-cert-file": folder.pki / "metrics-server-server.crt",
        "tls-private-key-file": folder.pki / "metrics-server-server.key",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": folder.pki / "ca.crt",
        "metric-resolution": "15s",
    }
    return Component(
        name="metrics-server",
        argv=command(folder, "metrics-server", flags),
        needs=("addons",),
        health=f"https://{NODE_ADDRESS}:{METRICS_PORT}/livez",
    )


def _provisioner(folder: ClusterFolder) -> Component:
    flags = {
        "kubeconfig": kubeconfig_of(folder, "provisioner"),
        "root": folder.data / "volumes",
        "node": NODE_NAME,
    }
    return Component(name="provisioner", argv=command(folder, "provisioner", flags), needs=("addons",))

"""Fill a cluster's folder: certificates, kubeconfigs, links to programs, configuration files."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path

from vaka.devcluster import node
from vaka.devcluster.addons import addons
from vaka.devcluster.cgroups import cgroup_name
from vaka.devcluster.components import FRONT_PROXY_IDENTITIES, control_plane_identities, kubeconfig_of
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.images import write_image
from vaka.devcluster.kubeconfig import write_kubeconfig
from vaka.devcluster.kwok import fake_nodes, stages
from vaka.devcluster.pki import Identity, write_pki
from vaka.devcluster.spec import ClusterSpec, write_spec

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def prepare_folder(
    folder: ClusterFolder,
    spec: ClusterSpec,
    *,
    binaries: Path,
    identities: Mapping[str, Identity],
) -> None:
    """Write everything that is known before anything runs. Done twice, it changes nothing but ``spec``.

    Args:
        binaries: folder of the programs.
        identities: of the components beside the control plane.
    """
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (folder.logs, folder.etc, folder.data):
        each.mkdir(exist_ok=True)
    cluster = {**control_plane_identities(spec), **identities}
    write_pki(folder.pki, cluster=cluster, front_proxy=FRONT_PROXY_IDENTITIES)
    for user, identity in cluster.items():
        if not identity.hosts:
            path = Path(kubeconfig_of(folder, user))
            write_kubeconfig(path, server=spec.inner_url, name=spec.name, pki=folder.pki, user=user)
    write_kubeconfig(folder.kubeconfig, server=spec.url, name=spec.name, pki=folder.pki, user="admin")
    folder.bin.unlink(missing_ok=True)
    folder.bin.symlink_to(binaries)
    write_spec(folder.spec, spec)


def prepare_bare(folder: ClusterFolder, spec: ClusterSpec, *, binaries: Path) -> None:
    """Fill the folder of a control plane without a node."""
    prepare_folder(folder, spec, binaries=binaries, identities={})
    _write_json(folder.etc / "nodes.json", fake_nodes(spec.fake_nodes))
    (folder.etc / "stages.yaml").write_text("\n---\n".join(map(json.dumps, stages())))


def prepare_embedded(folder: ClusterFolder, spec: ClusterSpec, *, binaries: Path) -> None:
    """Fill the folder of a one-node cluster."""
    prepare_folder(folder, spec, binaries=binaries, identities=node.node_identities())
    (folder.data / "volumes").mkdir(exist_ok=True)
    (folder.etc / "cni").mkdir(exist_ok=True)
    _write_json(folder.etc / "cni" / "pods.conflist", node.cni_config())
    _write_json(folder.etc / "kubelet.json", node.kubelet_config(folder, cgroup=cgroup_name(spec.name)))
    _write_json(folder.etc / "kube-proxy.json", node.kube_proxy_config(folder))
    _write_json(folder.etc / "addons.json", addons((folder.pki / "ca.crt").read_bytes()))
    (folder.etc / "containerd.toml").write_text(node.containerd_config(folder))
    (folder.etc / "Corefile").write_text(node.corefile(folder))
    (folder.etc / "resolv.conf").write_text("")
    write_image(
        folder.etc / "pause.tar",
        reference=node.PAUSE_IMAGE,
        files={"pause": binaries / "pause"},
        entrypoint=["/pause"],
        architecture=_GO_ARCHITECTURES[platform.machine()],
    )


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1))

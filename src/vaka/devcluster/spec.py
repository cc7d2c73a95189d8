"""What is fixed about one cluster when it is made; written to its folder and read by its supervisor."""

from __future__ import annotations

import dataclasses
import json
import socket
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
NODE_ADDRESS = "10.90.0.1"  # all clusters have the same: each is alone in its network namespace
NODE_NETWORK = "10.90.0.1/24"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
NODE_NAME = "vaka"


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """``port`` is on the host's loopback: the one place where the cluster is reached from outside.

    The other ports are on the host's loopback too if the cluster is bare, else inside its namespace.
    """

    name: str
    bare: bool
    port: int
    controller_manager_port: int = 10257
    scheduler_port: int = 10259
    kwok_port: int = 10247
    fake_nodes: int = 0  # bare only: nodes that kwok pretends to run

    @property
    def address(self) -> str:
        return LOOPBACK if self.bare else NODE_ADDRESS

    @property
    def api_port(self) -> int:
        return self.port if self.bare else 6443

    @property
    def inner_url(self) -> str:
        """The API server as the cluster's own components reach it."""
        return f"https://{self.address}:{self.api_port}"

    @property
    def url(self) -> str:
        """The API server as people reach it."""
        return f"https://{LOOPBACK}:{self.port}"


def write_spec(path: Path, spec: ClusterSpec) -> None:
    path.write_text(json.dumps(dataclasses.asdict(spec), indent=1))


def read_spec(path: Path) -> ClusterSpec:
    return ClusterSpec(**json.loads(path.read_text()))


def free_ports(count: int) -> list[int]:
    """Different TCP ports of loopback that nothing listens on right now."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports

"""Inside a new cluster's namespaces: network, mounts, and the way in from the host's loopback.

Everything made here vanishes with the namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from pathlib import Path

from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.spec import NODE_ADDRESS, SERVICE_NETWORK, ClusterSpec

_BUFFER = 64 * 1024


def isolate(folder: ClusterFolder) -> None:
    """Prepare the namespaces that this process is the first in.

    Programs find their usual paths, and what they write there goes to the cluster's folder.
    """
    _run("mount", "--make-rshared", "/")  # kubelet's mounts must reach the containers
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "vaka-run", "/run")
    for name, usual in {
        "log": "/var/log",
        "kubelet": "/var/lib/kubelet",
        "containerd": "/var/lib/containerd",
        "cni": "/var/lib/cni",
    }.items():
        own = folder.data / name
        own.mkdir(exist_ok=True)
        Path(usual).mkdir(exist_ok=True)
        _run("mount", "--bind", str(own), usual)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", "lo")
    # Without a route the kernel refuses a Service's address before kube-proxy's rules can translate it.
    _run("ip", "route", "add", SERVICE_NETWORK, "dev", "lo", "src", NODE_ADDRESS)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


async def forward(listener: socket.socket, spec: ClusterSpec) -> None:
    """Pass connections of a socket that was made in the host's namespace on to the API server.

    A socket stays in the namespace it was made in, so the host needs no link, route or address rewriting.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            inner_reader, inner_writer = await asyncio.open_connection(spec.address, spec.api_port)
            with contextlib.closing(inner_writer):
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    server = await asyncio.start_server(serve, sock=listener)
    await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end, and pass the end on too."""
    try:
        while data := await reader.read(_BUFFER):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)

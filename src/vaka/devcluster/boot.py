"""Entry point of a cluster's supervisor: ``python -m vaka.devcluster.boot FOLDER``.

With ``--attached`` the cluster belongs to the process at the other end of standard input: when that
ends, however it ends, the cluster ends and its folder goes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from pathlib import Path

from vaka.devcluster.components import bare_components
from vaka.devcluster.folders import ClusterFolder
from vaka.devcluster.isolation import forward, isolate
from vaka.devcluster.node import embedded_components
from vaka.devcluster.spec import ClusterSpec, read_spec
from vaka.devcluster.supervisor import Supervisor

_END_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attached", action="store_true")
    parser.add_argument("--listener", type=int, help="file descriptor of a socket of the host's namespace")
    arguments = parser.parse_args()
    folder = ClusterFolder(arguments.folder)
    spec = read_spec(folder.spec)
    if spec.bare:
        asyncio.run(_run_bare(folder, spec, attached=arguments.attached))
    else:
        isolate(folder)
        asyncio.run(_run_embedded(folder, spec, socket.socket(fileno=arguments.listener)))


async def _run_bare(folder: ClusterFolder, spec: ClusterSpec, *, attached: bool) -> None:
    supervisor = Supervisor(folder, bare_components(folder, spec), prefix=_END_WITH_PARENT)
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(supervisor.run())
    loop.add_signal_handler(signal.SIGTERM, running.cancel)
    if attached:
        loop.add_reader(sys.stdin, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await supervisor.stop()
    if attached:
        shutil.rmtree(folder.root, ignore_errors=True)


async def _run_embedded(folder: ClusterFolder, spec: ClusterSpec, listener: socket.socket) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(forward(listener, spec))
        group.create_task(Supervisor(folder, embedded_components(folder, spec)).run())


if __name__ == "__main__":
    main()

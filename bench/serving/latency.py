"""Vaka's latency below its capacity, by an open loop; how soon it is ready, and how much memory it takes."""

import os

import openloop
import processes
import wrk
from bodies import V1

SHARES = (0.2, 0.4, 0.6, 0.8)
CONNECTIONS = 64


def report(server: processes.Running, *, seconds: int) -> None:
    """Print the figures of a server that has just been started."""
    took = processes.memory(server.pid)
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
    print(f"ready {server.ready_s:.2f} s after the start of the process")
    capacity = wrk.load(server.url(V1.path), V1, connections=CONNECTIONS, seconds=seconds).rate
    print(f"answers {capacity:.0f} requests/s at most (wrk, {CONNECTIONS} connections)")
    for arrivals in openloop.ARRIVALS:
        for share in SHARES:
            _show(server, arrivals, share, capacity * share, seconds)
    for when, now in (("before", took), ("after", processes.memory(server.pid))):
        sizes = f"RSS {now.rss / 1e6:.0f} MB, PSS {now.pss / 1e6:.0f} MB"
        print(f"memory {when} the load: {sizes}, {now.processes} processes")


def _show(server: processes.Running, arrivals: str, share: float, rate: float, seconds: int) -> None:
    found = openloop.load(
        server.port, V1.path, V1, rate=rate, connections=CONNECTIONS, seconds=seconds, arrivals=arrivals
    )
    p50, p99 = found.percentile(50) * 1e3, found.percentile(99) * 1e3
    late = found.lateness * 1e3
    told = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {p99 / p50:.1f} times as long"
    print(f"{share:4.0%} ({rate:.0f}/s, {arrivals}): {told}; sent {late:.2f} ms late (p99)", flush=True)

"""Vaka's latency below its capacity, by an open loop; how soon it is ready, and how much memory it takes."""

import os

import openloop
import processes
import wrk
from bodies import V1

ARRIVALS = {"even": openloop.even, "poisson": openloop.poisson}
SHARES = (0.2, 0.4, 0.6, 0.8)
CONNECTIONS = 64
ENOUGH = 20_000
"""Requests that tell what is answered at most."""


def report(server: processes.Running, *, seconds: int) -> None:
    """Print the figures of a server that has just been started."""
    took = processes.memory(server.pid)
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
    print(f"ready {server.ready_s:.2f} s after the start of the process")
    most = wrk.load(server.url(V1.path), V1, connections=CONNECTIONS, seconds=seconds).rate
    print(f"answers {most:.0f} requests/s at most (wrk, {CONNECTIONS} connections)")
    capacity = _load(server, openloop.at_once(ENOUGH)).rate
    print(
        f"answers {capacity:.0f} requests/s at most beside the generator of the following, which costs more"
    )
    for name, arrivals in ARRIVALS.items():
        for share in SHARES:
            found = _load(server, arrivals(capacity * share, seconds))
            print(f"{share:4.0%} ({capacity * share:.0f}/s, {name}): {_told(found)}", flush=True)
    for when, now in (("before", took), ("after", processes.memory(server.pid))):
        sizes = f"RSS {now.rss / 1e6:.0f} MB, PSS {now.pss / 1e6:.0f} MB"
        print(f"memory {when} the load: {sizes}, {now.processes} processes")


def _load(server: processes.Running, due: openloop.Seconds) -> openloop.Latencies:
    return openloop.load(server.port, V1.path, V1, due, connections=CONNECTIONS)


def _told(found: openloop.Latencies) -> str:
    p50, p99 = found.percentile(50) * 1e3, found.percentile(99) * 1e3
    late = found.lateness * 1e3
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {p99 / p50:.1f} times as long; sent {late:.2f} ms late (p99)"

"""How many requests Vaka and its peers answer with the same model on this machine: `make bench-serving`.

Every server has the best settings for two processors. In every round each peer takes its turn beside Vaka:
both are started, their answers are compared with ONNX Runtime's, and then they are asked one after the other,
while the one that is not asked is idle. `wrk` asks with bodies of which none is sent twice. The ratios are
medians over the rounds, each of two figures that were measured within seconds.

    python bench/serving/peers.py --only fastapi,kserve --rounds 5 --seconds 8
    python bench/serving/peers.py --latency
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import check
import latency
import model
import processes
import wrk
from bodies import BINARY, V1, V2, Protocol
from servers import PEERS, VAKA, Place, Server

CONNECTIONS = (1, 16, 64)
WARM_UP_S = 1


class Case(NamedTuple):
    peer: str
    protocol: str
    connections: int


class Size(NamedTuple):
    """Seconds from the start of the process to its first answer, and memory after the load."""

    ready_s: float
    memory: processes.Memory


class Pair(NamedTuple):
    """What was measured one right after the other."""

    vaka: wrk.Figures
    peer: wrk.Figures


@dataclass(frozen=True)
class Results:
    """Of all rounds."""

    pairs: dict[Case, list[Pair]]
    sizes: dict[str, list[Size]]


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # and what was started with it
    graph = model.ensure()
    if arguments.latency:
        with started(VAKA, graph) as running:
            check.check(VAKA.name, running, V1.path, V1, graph)
            latency.report(running, seconds=arguments.seconds)
        return 0
    results = Results(defaultdict(list), defaultdict(list))
    peers = _peers(arguments.only)
    for number in range(arguments.rounds):
        for peer in peers if number % 2 == 0 else reversed(peers):
            print(f"round {number + 1}: {peer.name}", file=sys.stderr, flush=True)
            measure(peer, graph, seconds=arguments.seconds, results=results)
    show(peers, results)
    return 0


@contextmanager
def started(server: Server, graph: Path) -> Iterator[processes.Running]:
    """The server, answering, in a folder of its own."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory(prefix=f"bench-{server.name}-") as scratch:
        place = Place(bin=server.bin(), folder=Path(scratch), model=graph, port=port)
        first = server.protocols[0]
        with processes.running(
            server.command(place),
            port=port,
            path=server.path_of(first),
            protocol=first,
            health=server.health,
            env=server.environment(graph, port),
            folder=place.folder,
            log=model.folder() / f"{server.name}.log",
        ) as running:
            yield running


def measure(peer: Server, graph: Path, *, seconds: int, results: Results) -> None:
    """One peer's turn, with Vaka beside it."""
    with started(VAKA, graph) as own, started(peer, graph) as other:
        for protocol in peer.protocols:
            for server, running in ((VAKA, own), (peer, other)):
                check.check(server.name, running, server.path_of(protocol), protocol, graph)
                _load(server, running, protocol, max(CONNECTIONS), WARM_UP_S)
            for connections in CONNECTIONS:
                pair = Pair(
                    _load(VAKA, own, protocol, connections, seconds),
                    _load(peer, other, protocol, connections, seconds),
                )
                if not pair.peer.rate:
                    raise SystemExit(f"{peer.name} answers nothing in {seconds} s")
                results.pairs[Case(peer.name, protocol.name, connections)].append(pair)
        for server, running in ((VAKA, own), (peer, other)):
            results.sizes[server.name].append(Size(running.ready_s, processes.memory(running.pid)))


def _load(
    server: Server, running: processes.Running, protocol: Protocol, connections: int, seconds: int
) -> wrk.Figures:
    url = running.url(server.path_of(protocol))
    return wrk.load(url, protocol, connections=connections, seconds=seconds)


def show(peers: list[Server], results: Results) -> None:
    """A table for each protocol and number of connections."""
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, medians of the rounds")
    for protocol in (V1, V2, BINARY):
        found = [peer for peer in peers if protocol in peer.protocols]
        for connections in CONNECTIONS if found else ():
            print(f"\n{protocol.name}, {connections} connections")
            print(f"  {'':12}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}   vaka is ... times as fast")
            pairs = {peer.name: results.pairs[Case(peer.name, protocol.name, connections)] for peer in found}
            _show(VAKA.name, [pair.vaka for every in pairs.values() for pair in every])
            for name, its in pairs.items():
                ratios = [pair.vaka.rate / pair.peer.rate for pair in its]
                told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
                _show(name, [pair.peer for pair in its], told)
    print("\nstart and memory")
    for server in (VAKA, *peers):
        _show_size(server, results.sizes[server.name])


def _show(name: str, figures: list[wrk.Figures], told: str = "") -> None:
    rate = statistics.median(one.rate for one in figures)
    p50, p99 = (statistics.median(one) * 1e3 for one in zip(*((f.p50, f.p99) for f in figures), strict=True))
    print(f"  {name:12}{rate:12.0f}{p50:10.2f}{p99:10.2f}   {told}", flush=True)


def _show_size(server: Server, sizes: list[Size]) -> None:
    ready = statistics.median(size.ready_s for size in sizes)
    memory = max((size.memory for size in sizes), key=lambda memory: memory.pss)
    told = f"PSS {memory.pss / 1e6:.0f} MB, RSS {memory.rss / 1e6:.0f} MB, {memory.processes} processes"
    print(f"  {server.name:12} first answer after {ready:.2f} s, {told}", flush=True)


def _peers(only: str) -> list[Server]:
    """Those that are asked for and can run here."""
    wanted = only.split(",") if only else [peer.name for peer in PEERS]
    unknown = sorted(set(wanted) - {peer.name for peer in PEERS})
    if unknown:
        raise SystemExit(f"--only {','.join(unknown)}: known are {', '.join(peer.name for peer in PEERS)}")
    chosen = [peer for peer in PEERS if peer.name in wanted]
    for peer in chosen:
        if why := peer.missing():
            print(why, file=sys.stderr, flush=True)
    return [peer for peer in chosen if not peer.missing()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--only", default="", metavar="NAME,...", help="peers (default: all; vaka is always there)"
    )
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (default: %(default)s)")
    parser.add_argument(
        "--latency", action="store_true", help="of Vaka alone, at 20 to 80 %% of what it can answer"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""How many requests Vaka and its peers answer with the same model on this machine: `make bench-serving`.

Each server runs alone, with the best settings for two processors; in every round each takes its turn, and its
answers are compared with ONNX Runtime's before it is measured. `wrk` asks with bodies of which none is sent
twice. The ratios are medians over the rounds, of Vaka's figure and the peer's of the same round.

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
from bodies import BINARY, V1, V2
from servers import PEERS, VAKA, Place, Server

CONNECTIONS = (1, 16, 64)
WARM_UP_S = 1


class Case(NamedTuple):
    server: str
    protocol: str
    connections: int


class Size(NamedTuple):
    """Seconds from the start of the process to its first answer, and memory after the load."""

    ready_s: float
    memory: processes.Memory


@dataclass(frozen=True)
class Results:
    """Of all rounds."""

    figures: dict[Case, list[wrk.Figures]]
    sizes: dict[str, list[Size]]


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    graph = model.ensure()
    if arguments.latency:
        with started(VAKA, graph) as running:
            check.check(VAKA.name, running, V1.path, V1, graph)
            latency.report(running, seconds=arguments.seconds)
        return 0
    results = Results(defaultdict(list), defaultdict(list))
    contestants = _contestants(arguments.only)
    for number in range(arguments.rounds):
        for server in contestants if number % 2 == 0 else reversed(contestants):
            print(f"round {number + 1}: {server.name}", file=sys.stderr, flush=True)
            measure(server, graph, seconds=arguments.seconds, results=results)
    show(contestants, results)
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


def measure(server: Server, graph: Path, *, seconds: int, results: Results) -> None:
    """One server's turn."""
    with started(server, graph) as running:
        for protocol in server.protocols:
            path = server.path_of(protocol)
            check.check(server.name, running, path, protocol, graph)
            wrk.load(running.url(path), protocol, connections=max(CONNECTIONS), seconds=WARM_UP_S)
            for connections in CONNECTIONS:
                figures = wrk.load(running.url(path), protocol, connections=connections, seconds=seconds)
                if not figures.rate:
                    raise SystemExit(f"{server.name} answers nothing in {seconds} s")
                results.figures[Case(server.name, protocol.name, connections)].append(figures)
        results.sizes[server.name].append(Size(running.ready_s, processes.memory(running.pid)))


def show(contestants: list[Server], results: Results) -> None:
    """A table for each protocol and number of connections."""
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, medians of the rounds")
    for protocol in (V1, V2, BINARY):
        for connections in CONNECTIONS:
            print(f"\n{protocol.name}, {connections} connections")
            print(f"  {'':12}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}   vaka is ... times as fast")
            own = results.figures[Case(VAKA.name, protocol.name, connections)]
            for server in contestants:
                if protocol in server.protocols:
                    _show(server, own, results.figures[Case(server.name, protocol.name, connections)])
    print("\nstart and memory")
    for server in contestants:
        _show_size(server, results.sizes[server.name])


def _show(server: Server, own: list[wrk.Figures], figures: list[wrk.Figures]) -> None:
    rate, p50, p99 = (
        statistics.median(values)
        for values in ([f.rate for f in figures], [f.p50 for f in figures], [f.p99 for f in figures])
    )
    ratios = [mine.rate / other.rate for mine, other in zip(own, figures, strict=True)]
    told = (
        "" if server is VAKA else f"{statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
    )
    print(f"  {server.name:12}{rate:12.0f}{p50 * 1e3:10.2f}{p99 * 1e3:10.2f}   {told}", flush=True)


def _show_size(server: Server, sizes: list[Size]) -> None:
    ready = statistics.median(size.ready_s for size in sizes)
    memory = max((size.memory for size in sizes), key=lambda memory: memory.pss)
    told = f"PSS {memory.pss / 1e6:.0f} MB, RSS {memory.rss / 1e6:.0f} MB, {memory.processes} processes"
    print(f"  {server.name:12} first answer after {ready:.2f} s, {told}", flush=True)


def _contestants(only: str) -> list[Server]:
    """Vaka and the peers that are asked for and can run here."""
    wanted = only.split(",") if only else [peer.name for peer in PEERS]
    unknown = sorted(set(wanted) - {server.name for server in (VAKA, *PEERS)})
    if unknown:
        raise SystemExit(f"--only {','.join(unknown)}: known are {', '.join(peer.name for peer in PEERS)}")
    found = [VAKA]
    for peer in PEERS:
        if peer.name not in wanted:
            continue
        if why := peer.missing():
            print(why, file=sys.stderr, flush=True)
        else:
            found.append(peer)
    return found


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

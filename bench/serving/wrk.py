"""Load by wrk, closed loop: every connection asks again as soon as it is answered."""

import itertools
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bodies import COUNT, Protocol, images
from model import folder

SCRIPT = Path(__file__).with_suffix(".lua")
ROUNDS = 10_000
"""How often all bodies can be sent with another first pixel."""
_runs = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Requests a second, and seconds."""

    rate: float
    p50: float
    p99: float


def load(url: str, protocol: Protocol, *, connections: int, seconds: int) -> Figures:
    """Ask for so long; SystemExit where anything but 200 is answered."""
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT)]
    headers = [f"{name}: {value}" for name, value in protocol.headers.items()]
    size = len(protocol.body(images()[0]))
    first = next(_runs) * 100 * COUNT % (ROUNDS * COUNT)
    numbers = [str(n) for n in (size, protocol.head, protocol.hole, first)]
    done = subprocess.run(
        [*command, url, "--", str(_file(protocol)), *numbers, *headers],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    if found["bad"] or found["broken"]:
        raise SystemExit(f"{url} with {connections} connections: not all is answered with 200: {found}")
    return Figures(rate=found["requests"] / found["seconds"], p50=found["p50"], p99=found["p99"])


def _file(protocol: Protocol) -> Path:
    path = folder() / f"{protocol.name.replace(' ', '-')}.bodies"
    if not path.exists():
        protocol.write(path)
    return path

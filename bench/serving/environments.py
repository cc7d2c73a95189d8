"""A virtual environment of its own for each peer, from the pins in peers/NAME.txt."""

import subprocess
import sys
from pathlib import Path

from model import folder

PEERS = Path(__file__).parent / "peers"


def ensure(name: str) -> Path:
    """The folder with the environment's programs; made where it is not there, and anew after other pins."""
    wanted = PEERS / f"{name}.txt"
    place = folder() / "environments" / name
    made_from = place / wanted.name
    if not made_from.exists() or made_from.read_text() != wanted.read_text():
        print(f"installing {name} into {place}", file=sys.stderr, flush=True)
        _uv("venv", "--quiet", "--clear", "--python", "3.11", str(place))
        _uv(
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            str(place / "bin" / "python"),
            "-r",
            str(wanted),
        )
        made_from.write_text(wanted.read_text())
    return place / "bin"


def _uv(*arguments: str) -> None:
    """SystemExit with uv's own words."""
    command = [str(Path(sys.executable).with_name("uv")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")

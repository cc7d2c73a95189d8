"""Vaka and its peers: how each is started with the best settings for two processors, and how it is asked."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import environments
from bodies import BINARY, V1, V2, Protocol
from model import NAME
from processes import free_port

PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server is started."""

    bin: Path
    """The programs of its environment."""
    folder: Path
    """Its working folder, empty."""
    model: Path
    port: int

    def python(self, script: str, *arguments: str) -> list[str]:
        return [str(self.bin / "python"), str(environments.PEERS / script), *arguments]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A contestant.

    Args:
        command: gives the command line, and writes what it needs into the folder of the place.
        protocols: what it speaks, the first is the one that it is waited for with.
        path: asked instead of the protocol's own path.
        health: says when all of its processes are ready, if anything does.
        packages: whose environment it runs in, where that is not its own.
        needs: programs without which it does not run.
        own: whether it is Vaka, in this environment.
    """

    name: str
    command: Callable[[Place], list[str]]
    protocols: tuple[Protocol, ...] = (V1,)
    path: str | None = None
    health: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    packages: str = ""
    needs: tuple[str, ...] = ()
    own: bool = False

    def path_of(self, protocol: Protocol) -> str:
        return self.path or protocol.path

    def missing(self) -> str | None:
        """Why it cannot take part here."""
        absent = [program for program in self.needs if not shutil.which(program)]
        return f"{self.name} is left out: it needs {', '.join(absent)}" if absent else None

    def environment(self, model: Path, port: int) -> dict[str, str]:
        """What its processes find; peers nothing of this environment's packages."""
        if self.own:
            return dict(os.environ)
        rest = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return rest | {"MODEL": str(model), "PORT": str(port), "OMP_NUM_THREADS": "1"} | self.env

    def bin(self) -> Path:
        return Path(sys.executable).parent if self.own else environments.ensure(self.packages or self.name)


def _vaka(place: Place) -> list[str]:
    serve = [sys.executable, "-m", "vaka.cli", "serve"]
    return [*serve, "--model", str(place.model), "--name", NAME, "--http-port", str(place.port)]


def _fastapi(place: Place, app: str = "fastapi_app") -> list[str]:
    command = [str(place.bin / "uvicorn"), f"{app}:app", "--app-dir", str(environments.PEERS)]
    loop = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [*command, *loop, "--port", str(place.port), "--workers", str(PROCESSES)]


def _kserve(place: Place) -> list[str]:
    log = place.folder / "log.json"
    silent = {"level": "WARNING", "handlers": [], "propagate": False}
    loggers = dict.fromkeys(("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error"), silent)
    log.write_text(json.dumps({"version": 1, "disable_existing_loggers": False, "loggers": loggers}))
    options = {
        "model_name": NAME,
        "http_port": place.port,
        "workers": PROCESSES,
        "enable_grpc": "false",
        "enable_latency_logging": "false",
        "log_config_file": log,
    }
    return place.python("kserve_app.py", *(f"--{name}={value}" for name, value in options.items()))


def _mlserver(place: Place) -> list[str]:
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": place.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": PROCESSES,
    }
    model = {
        "name": NAME,
        "implementation": "mlserver_app.Cnn",
        "max_batch_size": 16,
        "max_batch_time": 0.001,
    }
    (place.folder / "settings.json").write_text(json.dumps(settings))
    (place.folder / "model-settings.json").write_text(json.dumps(model))
    return [str(place.bin / "mlserver"), "start", str(place.folder)]


def _bentoml(place: Place) -> list[str]:
    command = [str(place.bin / "bentoml"), "serve", "bentoml_app:Cnn", "--quiet"]
    where = ["--working-dir", str(environments.PEERS), "--host", "127.0.0.1", "--port", str(place.port)]
    return [*command, *where]


def _torchserve(place: Place) -> list[str]:
    _archive(place)
    settings = {
        "inference_address": f"http://127.0.0.1:{place.port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "default_workers_per_model": PROCESSES,
        "disable_token_authorization": "true",
        "enable_grpc": "false",
    }
    lines = "\n".join(f"{name}={value}" for name, value in settings.items())
    (place.folder / "config.properties").write_text(lines)
    command = [str(place.bin / "torchserve"), "--foreground", "--disable-token-auth", "--no-config-snapshots"]
    where = ["--model-store", str(place.folder), "--models", f"{NAME}={NAME}.mar"]
    log = place.folder / "log4j2.xml"
    log.write_text('<Configuration><Loggers><Root level="off"/></Loggers></Configuration>')
    settings_file = ["--ts-config", str(place.folder / "config.properties")]
    return [*command, *where, *settings_file, "--log-config", str(log)]


def _archive(place: Place) -> None:
    """The model in TorchServe's own format."""
    config = place.folder / "batching.yaml"
    config.write_text(f"minWorkers: {PROCESSES}\nmaxWorkers: {PROCESSES}\nbatchSize: 16\nmaxBatchDelay: 1\n")
    options = {
        "model-name": NAME,
        "version": "1",
        "handler": environments.PEERS / "torchserve_app.py",
        "extra-files": environments.PEERS / "session.py",
        "serialized-file": place.model,
        "config-file": config,
        "export-path": place.folder,
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([str(place.bin / "torch-model-archiver"), *arguments], check=True)


VAKA = Server(name="vaka", command=_vaka, protocols=(V1, V2, BINARY), health="/v2/health/ready", own=True)
PEERS = [
    Server(name="fastapi", command=_fastapi),
    Server(
        name="fastapi-plain",
        command=lambda place: _fastapi(place, "fastapi_plain_app"),
        packages="fastapi",
    ),
    Server(name="kserve", command=_kserve, protocols=(V1, V2, BINARY)),
    Server(
        name="mlserver",
        command=_mlserver,
        protocols=(V2,),
        env={"PYTHONPATH": str(environments.PEERS)},
    ),
    Server(name="litserve", command=lambda place: place.python("litserve_app.py")),
    Server(name="bentoml", command=_bentoml, env={"BENTOML_DO_NOT_TRACK": "true"}),
    Server(
        name="ray", command=lambda place: place.python("ray_app.py"), env={"RAY_USAGE_STATS_ENABLED": "0"}
    ),
    Server(name="torchserve", command=_torchserve, path=f"/predictions/{NAME}", needs=("java",)),
]

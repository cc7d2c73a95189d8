"""The process around a training run: its settings, processors and threads."""

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from vaka.api.contract import REPORT_PORT, SCRATCH_MOUNT, TERMINATION_LOG
from vaka.cpus import usable_cpus
from vaka.training.errors import ConfigError

LISTEN_ENV = "VAKA_REPORT_LISTEN"
"""HOST:PORT of /report and /metrics, where it is not every address and the usual port; port 0 is any."""
TERMINATION_ENV = "VAKA_TERMINATION_LOG"
WORKER_REPORTS_ENV = "VAKA_WORKER_REPORTS"
"""Folder in which each worker leaves its report for the agent."""

THREADS_ENV = "OMP_NUM_THREADS"
"""How many threads compute, whatever else goes on; read by torch itself."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the trainer listens, where its last word goes, and where it may write."""

    host: str
    port: int
    termination_log: Path
    scratch: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Settings":
        host, _, port = environment.get(LISTEN_ENV, f":{REPORT_PORT}").rpartition(":")
        return cls(
            host=host,
            port=int(port),
            termination_log=Path(environment.get(TERMINATION_ENV, TERMINATION_LOG)),
            scratch=Path(environment.get("TMPDIR", SCRATCH_MOUNT)),
        )


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Who trains together, from the variables that torchrun reads too (PET_NNODES and so on)."""

    least: int = 1
    most: int = 1
    per_node: int = 1
    endpoint: str = ""
    run_id: str = ""
    address: str | None = None
    host: bool | None = None
    """Whether the others meet here; None leaves it to the name in the endpoint."""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Nodes":
        """ConfigError where the variables make no sense."""
        numbers = environment.get("PET_NNODES", "1")
        least, _, most = numbers.partition(":")
        index = environment.get("JOB_COMPLETION_INDEX")
        options = environment.get("PET_RDZV_CONF", "")
        try:
            nodes = cls(
                least=int(least),
                most=int(most or least),
                per_node=int(environment.get("PET_NPROC_PER_NODE", "1")),
                endpoint=environment.get("PET_RDZV_ENDPOINT", ""),
                run_id=environment.get("PET_RDZV_ID", "vaka"),
                address=environment.get("PET_LOCAL_ADDR"),
                host=None if index is None else index == "0",
                options=dict(pair.split("=", 1) for pair in options.split(",") if pair),
            )
        except ValueError as error:
            raise ConfigError(
                f"the PET_ variables do not say how many nodes and processes: {error}"
            ) from None
        if not 1 <= nodes.least <= nodes.most or nodes.per_node < 1:
            raise ConfigError(f"PET_NNODES is {numbers}: give MIN:MAX or a number, at least 1")
        if nodes.most * nodes.per_node > 1 and not nodes.endpoint:
            raise ConfigError("PET_RDZV_ENDPOINT is missing: give the HOST:PORT where nodes meet")
        return nodes


def worker_report(folder: Path | str, local_rank: int) -> Path:
    """Where in that folder the worker of this rank leaves its report."""
    return Path(folder) / f"report{local_rank}.json"


def prepare_for_torch(environment: MutableMapping[str, str]) -> None:
    """Settings that its libraries read when they are loaded; what is already set stays."""
    # By default a thread that waits spins for milliseconds. Where processors are limited or shared, a step
    # then takes three times as long; without any spinning it takes a quarter longer on an idle machine.
    environment.setdefault("GOMP_SPINCOUNT", "1000")
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it


def set_up_torch() -> str:
    """The device to train on, where equal seeds give equal weights; threads as many as processors."""
    import torch

    if THREADS_ENV not in os.environ:
        torch.set_num_threads(usable_cpus())  # torch itself knows of no container's limit
    if not torch.cuda.is_available():
        return "cpu"  # deterministic as it is; to ask for it would load torch's compiler
    torch.use_deterministic_algorithms(True)
    return "cuda"

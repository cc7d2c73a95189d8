"""The process around a training run: its settings, processors and threads."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from vaka.api.contract import REPORT_PORT, SCRATCH_MOUNT, TERMINATION_LOG
from vaka.cpus import usable_cpus

LISTEN_ENV = "VAKA_REPORT_LISTEN"
"""HOST:PORT of /report and /metrics, where it is not every address and the usual port; port 0 is any."""
TERMINATION_ENV = "VAKA_TERMINATION_LOG"


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


def prepare_for_torch(environment: MutableMapping[str, str]) -> None:
    """Settings that its libraries read when they are loaded; what is already set stays."""
    # By default a thread that waits spins for milliseconds. Where processors are limited or shared, a step
    # then takes three times as long; without any spinning it takes a quarter longer on an idle machine.
    environment.setdefault("GOMP_SPINCOUNT", "1000")
    environment.setdefault("OMP_NUM_THREADS", str(usable_cpus()))
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it


def set_up_torch() -> str:
    """The device to train on, where equal seeds give equal weights."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"  # deterministic as it is; to ask for it would load torch's compiler
    torch.use_deterministic_algorithms(True)
    return "cuda"

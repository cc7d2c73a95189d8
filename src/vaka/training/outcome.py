"""How a run ends: reason, message and exit code."""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, EXIT_LOST_NODE, EXIT_STOPPED, RUN_ENV, Report
from vaka.api.reasons import Reason
from vaka.api.run import Run
from vaka.training.environment import Settings
from vaka.training.errors import ConfigError, NonFiniteLoss
from vaka.training.report import Reporter
from vaka.training.stopping import Terminated

EXIT_FAILED = 1

_TORCH_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")

log = logging.getLogger("vaka.training")


def run_of(environment: Mapping[str, str]) -> Run:
    """What the environment says shall be done; ConfigError where it says nothing of use."""
    try:
        return msgspec.json.decode(environment.get(RUN_ENV, ""), type=Run)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{RUN_ENV} in the environment is no run: {error}") from error


def supervised(reporter: Reporter, settings: Settings, work: Callable[[Path], int | None]) -> int:
    """Do the work in a scratch folder of its own, and turn what is raised into a report and an exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="vaka-", dir=settings.scratch) as scratch:
            return work(Path(scratch)) or 0
    except Terminated:
        reporter.update(message=farewell(reporter.report))
        return EXIT_STOPPED
    except Exception as error:
        reason, code = classify(error)
        reporter.say(reason, str(error) or type(error).__name__, waiting=code == EXIT_LOST_NODE)
        if reason is Reason.TRAINER_FAILED:
            log.exception("unexpected")
        return code


def farewell(report: Report) -> str:
    """What is said last after SIGTERM."""
    if report.checkpoint:
        return f"stopped by SIGTERM: goes on from step {report.checkpoint.step}"
    return f"stopped by SIGTERM while {report.reason}"


def classify(error: Exception) -> tuple[Reason, int]:
    """Reason and exit code of what went wrong."""
    from vaka.artifacts.publish import PublishError
    from vaka.data.dataset import DatasetError

    if isinstance(error, DatasetError):
        return Reason.DATASET_INVALID, EXIT_DATA
    if isinstance(error, ConfigError | PublishError):
        return Reason.CONFIG_INVALID, EXIT_CONFIG
    if isinstance(error, NonFiniteLoss):
        return Reason.NON_FINITE_LOSS, EXIT_CONFIG
    if isinstance(error, MemoryError) or any(words in str(error) for words in _TORCH_OUT_OF_MEMORY):
        return Reason.OUT_OF_MEMORY, EXIT_FAILED
    if _peer_is_lost(error):
        return Reason.NODE_LOST, EXIT_LOST_NODE
    return Reason.TRAINER_FAILED, EXIT_FAILED


def _peer_is_lost(error: Exception) -> bool:
    if "WORLD_SIZE" not in os.environ or "vaka.training.distributed" not in sys.modules:
        return False
    from vaka.training.distributed import lost

    return lost(error)

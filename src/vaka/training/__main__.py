"""`python -m vaka.training`: the trainer process.

Exit codes are those of `vaka.api.contract`; 143 after SIGTERM. Heavy imports wait until the report is served.
"""

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import msgspec

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, RUN_ENV, Run
from vaka.api.reasons import Reason
from vaka.log import to_stderr
from vaka.training.endpoint import serve
from vaka.training.environment import Settings, prepare_for_torch
from vaka.training.errors import ConfigError, NonFiniteLoss
from vaka.training.report import Reporter

EXIT_FAILED = 1
EXIT_TERMINATED = 128 + signal.SIGTERM

_TORCH_OUT_OF_MEMORY = ("out of memory", "can't allocate memory")

log = logging.getLogger("vaka.training")


class Terminated(BaseException):
    """SIGTERM arrived. No `except Exception` on its way shall stop it."""


def main() -> int:
    """Run what the environment describes; the last report becomes the termination message."""
    signal.signal(signal.SIGTERM, _terminate)
    to_stderr()
    prepare_for_torch(os.environ)
    settings = Settings.of(os.environ)
    reporter = Reporter()
    try:
        return supervised(reporter, settings)
    except Terminated:
        reporter.update(message=f"stopped by SIGTERM while {reporter.report.reason}")
        return EXIT_TERMINATED
    finally:
        reporter.write(settings.termination_log)


def supervised(reporter: Reporter, settings: Settings) -> int:
    """Run, and turn what is raised into reason, message and exit code."""
    try:
        run = msgspec.json.decode(os.environ.get(RUN_ENV, ""), type=Run)
    except msgspec.MsgspecError as error:
        reporter.say(Reason.CONFIG_INVALID, f"{RUN_ENV} in the environment is no run: {error}")
        return EXIT_CONFIG
    labels = {"name": run.name, "namespace": run.namespace, "architecture": run.spec.model.architecture}
    endpoint = serve(reporter, host=settings.host, port=settings.port, labels=labels)
    log.info("serving /report and /metrics", extra={"fields": {"port": endpoint.port}})
    try:
        with tempfile.TemporaryDirectory(prefix="vaka-", dir=settings.scratch) as scratch:
            from vaka.training.run import execute

            execute(run, reporter, Path(scratch))
    except Exception as error:
        reason, code = classify(error)
        reporter.say(reason, str(error) or type(error).__name__)
        if reason is Reason.TRAINER_FAILED:
            log.exception("unexpected")
        return code
    return 0


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
    return Reason.TRAINER_FAILED, EXIT_FAILED


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows shall not be broken off
    raise Terminated


if __name__ == "__main__":
    sys.exit(main())

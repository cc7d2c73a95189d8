"""`python -m vaka.training.worker`: one of several processes that train together, started by the agent."""

import ctypes
import os
import signal
import sys
from functools import partial

from vaka.log import to_stderr
from vaka.training.environment import WORKER_REPORTS_ENV, Settings, prepare_for_torch, worker_report
from vaka.training.group import Group
from vaka.training.outcome import run_of, supervised
from vaka.training.report import FileReporter, Reporter
from vaka.training.run import execute
from vaka.training.stopping import Stop

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Train; the agent reads the report from a file."""
    stop = Stop()
    stop.install()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no worker without an agent
    to_stderr()
    prepare_for_torch(os.environ)
    reporter = FileReporter(worker_report(os.environ[WORKER_REPORTS_ENV], int(os.environ["LOCAL_RANK"])))
    run = run_of(os.environ)
    return supervised(
        reporter,
        Settings.of(os.environ),
        lambda scratch: execute(
            run, reporter, scratch, stop=stop, join=partial(join, run.spec.trainer.strategy)
        ),
    )


def join(strategy: str, device: str, reporter: Reporter) -> Group:
    from vaka.training.distributed import Processes

    return Processes(strategy, device, reporter)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m vaka.training`: the trainer, as one process or as the agent of several.

Exit codes are those of `vaka.api.contract`; 143 after SIGTERM. Heavy imports wait until the report is served.
"""

import logging
import os
import sys
from pathlib import Path

from vaka.log import to_stderr
from vaka.training.endpoint import serve
from vaka.training.environment import Nodes, Settings, prepare_for_torch
from vaka.training.outcome import run_of, supervised
from vaka.training.report import Relay
from vaka.training.stopping import Stop

log = logging.getLogger("vaka.training")


def main() -> int:
    """Run what the environment describes; the last report becomes the termination message."""
    stop, reporter = Stop(), Relay()
    stop.install()
    to_stderr()
    settings = Settings.of(os.environ)
    try:
        return supervised(reporter, settings, lambda scratch: work(reporter, settings, scratch, stop))
    finally:
        reporter.write(settings.termination_log)


def work(reporter: Relay, settings: Settings, scratch: Path, stop: Stop) -> int:
    """Train here, or have workers train; the exit code."""
    run, nodes = run_of(os.environ), Nodes.of(os.environ)
    prepare_for_torch(os.environ)
    labels = {"name": run.name, "namespace": run.namespace, "architecture": run.spec.model.architecture}
    endpoint = serve(reporter, host=settings.host, port=settings.port, labels=labels)
    log.info("serving /report and /metrics", extra={"fields": {"port": endpoint.port}})
    if nodes.most * nodes.per_node == 1:
        from vaka.training.run import execute

        execute(run, reporter, scratch, stop=stop)
        return 0
    from vaka.training.agent import attend

    return attend(run, nodes, reporter, scratch, stop)


if __name__ == "__main__":
    sys.exit(main())

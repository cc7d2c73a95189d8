"""The agent: meets the agents of the other nodes, keeps the workers of this one, and speaks for them.

Meeting and keeping is torch's elastic agent, as torchrun has it, and so are the PET_ variables. What is ours
is what ends it: errors that no repetition mends at once, others when they repeat without progress, and never
that another node is gone.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from torch.distributed import DistError
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, ProcessFailure
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.rendezvous import RendezvousError, RendezvousHandler, RendezvousParameters
from torch.distributed.elastic.rendezvous import registry as rendezvous

from vaka.api.contract import FREE_EXITS, PERMANENT_EXITS
from vaka.api.reasons import Reason
from vaka.api.run import Run
from vaka.cpus import usable_cpus
from vaka.training.environment import THREADS_ENV, WORKER_REPORTS_ENV, Nodes, worker_report
from vaka.training.patience import patiently
from vaka.training.published import published
from vaka.training.report import Relay
from vaka.training.run import succeed
from vaka.training.stopping import Stop, Terminated

ATTEMPTS = 3
"""How often workers may fail in a row without a newer checkpoint."""
PAUSE_SECONDS = 1.0
GRACE_SECONDS = 50
"""For the workers' last checkpoint: less than what the pod itself has."""
MEETING: dict[str, Any] = {
    "join_timeout": 600,
    "last_call_timeout": 10,
    "keep_alive_interval": 2,
    "keep_alive_max_attempt": 5,
    "read_timeout": 15,
}
"""Seconds: see torch's create_handler; PET_RDZV_CONF changes them."""

log = logging.getLogger("vaka.training")


class Finished(Exception):
    """Nothing is left to do: others have published the model."""


def attend(run: Run, nodes: Nodes, reporter: Relay, scratch: Path, stop: Stop) -> int:
    """Have workers train until the model is published; the exit code."""
    reporter.follow(worker_report(scratch, 0))
    os.environ[WORKER_REPORTS_ENV] = str(scratch)
    if nodes.per_node > 1:  # each has its part of the processors, and needs to make room for nobody
        os.environ.setdefault(THREADS_ENV, str(max(1, usable_cpus() // nodes.per_node)))
    os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # that looking for unused weights found none is no news
    # Else workers of a new round would find in the store what those of the last one have left there.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    while True:
        try:
            return attempt(run, nodes, reporter, scratch, stop)
        except Finished:
            return 0
        except (RendezvousError, DistError) as error:
            reason = f"cannot meet the other nodes at {nodes.endpoint}, trying again"
            log.warning(reason, extra={"fields": {"error": str(error)}})
            reporter.say(Reason.WAITING_FOR_NODES, reason, waiting=True)
            time.sleep(PAUSE_SECONDS)


def attempt(run: Run, nodes: Nodes, reporter: Relay, scratch: Path, stop: Stop) -> int:
    """The exit code, unless the store at which nodes meet is lost: RendezvousError or DistError."""
    try:
        return Attempt(run, nodes, reporter, scratch).run_to_end()
    except SignalException:
        raise Terminated from None
    finally:
        stop.install()  # torch has put its own in the place
        reporter.hear()


class Attempt(LocalElasticAgent):
    """Lasts as long as the store at which nodes meet."""

    def __init__(self, run: Run, nodes: Nodes, reporter: Relay, scratch: Path) -> None:
        self._run = run
        self._nodes = nodes
        self._reporter = reporter
        self._scratch = scratch
        self._check_published()
        reporter.say(Reason.WAITING_FOR_NODES, f"meeting the other nodes at {nodes.endpoint}", waiting=True)
        self._handler = meeting(nodes)
        self._newest = self._checkpoint()
        spec = WorkerSpec(
            role="trainer",
            local_world_size=nodes.per_node,
            entrypoint=sys.executable,
            args=("-m", "vaka.training.worker"),
            rdzv_handler=self._handler,
            max_restarts=ATTEMPTS,
            monitor_interval=0.1,
        )
        logs = DefaultLogsSpecs(log_dir=str(scratch / "logs"))
        super().__init__(spec, logs, shutdown_timeout=GRACE_SECONDS)

    def run_to_end(self) -> int:
        """The exit code once all workers here are done."""
        result = self.run()
        if result is None:  # the meeting was closed while this node waited: others are done
            raise RendezvousError("the meeting is over")
        self._handler.shutdown()
        return _exit_code(_cause(result)) if result.is_failed() else 0

    def _rendezvous(self, worker_group: WorkerGroup) -> None:
        self._check_published()
        with self._telling_who_is_here():
            super()._rendezvous(worker_group)

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result: RunResult = super()._monitor_workers(worker_group)
        if result.is_failed():
            self._tell_why(cause := _cause(result))
            code, newest = _exit_code(cause), self._checkpoint()
            if code in PERMANENT_EXITS:
                self._remaining_restarts = 0
            elif code in FREE_EXITS:
                self._remaining_restarts += 1  # it is about to be counted
            elif newest > self._newest:
                self._newest, self._remaining_restarts = newest, ATTEMPTS
            log.info("workers ended", extra={"fields": {"code": code}})
        return result

    def _tell_why(self, cause: ProcessFailure) -> None:
        if cause.exitcode > 0:
            self._reporter.quote(worker_report(self._scratch, cause.local_rank))
        else:
            message = (
                f"process {cause.local_rank} of {self._nodes.per_node} was ended by {cause.signal_name()}"
            )
            self._reporter.say(Reason.TRAINER_FAILED, message)

    def _checkpoint(self) -> int:
        newest = self._reporter.report.checkpoint
        return newest.step if newest else -1

    def _check_published(self) -> None:
        model = patiently(lambda: published(self._run, self._scratch), self._reporter)
        if model:
            succeed(self._reporter, model)
            raise Finished

    @contextmanager
    def _telling_who_is_here(self) -> Iterator[None]:
        met = Event()
        teller = Thread(target=self._tell_who_is_here, args=(met,), daemon=True)
        teller.start()
        try:
            yield
        finally:
            met.set()
            teller.join()

    def _tell_who_is_here(self, met: Event) -> None:
        while not met.wait(0.2):
            # torch has no other way to see who is here before all are.
            here = len(self._handler._state_holder.state.participants)  # type: ignore[attr-defined]
            message = f"{here} of {self._nodes.most} nodes are here"
            self._reporter.say(Reason.WAITING_FOR_NODES, message, waiting=True)


def meeting(nodes: Nodes) -> RendezvousHandler:
    """Where this node meets the others. RendezvousError while there is nobody to ask."""
    parameters = RendezvousParameters(
        backend="c10d",
        endpoint=nodes.endpoint,
        run_id=nodes.run_id,
        min_nodes=nodes.least,
        max_nodes=nodes.most,
        local_addr=nodes.address,
        **MEETING | {"is_host": nodes.host} | nodes.options,
    )
    return rendezvous.get_rendezvous_handler(parameters)


def _cause(result: RunResult) -> ProcessFailure:
    """The failure that says most of why workers failed: those that are stopped for it fail as well."""

    def rank(failure: ProcessFailure) -> tuple[bool, bool, int]:
        code = _exit_code(failure)
        return code not in PERMANENT_EXITS, code in FREE_EXITS, failure.local_rank

    return min(result.failures.values(), key=rank)


def _exit_code(failure: ProcessFailure) -> int:
    """As a shell has it for what a signal has ended."""
    return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode

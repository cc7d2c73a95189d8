"""When a checkpoint is written, and how a run goes on from one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import monotonic

import msgspec

from vaka.api.contract import CheckpointReport
from vaka.api.reasons import Reason
from vaka.api.trainingjob import CheckpointSpec
from vaka.artifacts.manifest import File
from vaka.storage import StorageError, Unreachable
from vaka.training.checkpoint_folder import CheckpointFolder, Description, name_of, now
from vaka.training.group import Group, Wishes
from vaka.training.patience import patiently
from vaka.training.report import Reporter
from vaka.training.snapshot import State, Tensors, copied, read, write
from vaka.training.stopping import Stop, Terminated
from vaka.training.watch import Record


class Choice(msgspec.Struct):
    """Name of the checkpoint to go on from, or nothing, and why newer ones were not taken."""

    name: str = ""
    rejected: list[str] = []


class Checkpoints:
    """See `vaka.training.loop.Keeper`. A thread writes them, one at a time, while training goes on."""

    def __init__(
        self,
        folder: CheckpointFolder,
        spec: CheckpointSpec,
        *,
        public: str,
        fingerprint: Callable[[Tensors], str],
        stop: Stop,
        reporter: Reporter,
        group: Group,
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._public = public.rstrip("/")
        self._fingerprint = fingerprint
        self._stop = stop
        self._reporter = reporter
        self._group = group
        self._first = group.part.rank == 0
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._write: Future[CheckpointReport | None] | None = None
        self._asked = False
        self._last = (0, monotonic())
        self._saved: int | None = None

    def resume(self, state: State) -> None:
        """Go on from the newest checkpoint that is whole; the first process chooses which."""
        tensors = state.tensors()
        fingerprint = self._fingerprint(tensors)
        choice = self._choose(fingerprint)
        if choice.name:
            found = patiently(lambda: self._folder.open(choice.name, fingerprint), self._reporter)
            read(found.folder, tensors)
            state.resume(found.description.record)
            self._saved = state.watch.step
            self._reporter.update(checkpoint=self._report(state.watch.step, found.description.time))
        if choice.name or choice.rejected:
            start = f"resumed from step {state.watch.step}" if choice.name else "started anew"
            self._reporter.say(Reason.TRAINING, "; ".join([start, *choice.rejected]))
        self._folder.clean(first=self._first)
        self._last = (state.watch.step, monotonic())

    def stepped(self, state: State) -> None:
        """Write when it is time. Terminated after SIGTERM, once a checkpoint is written."""
        due = self._due(state.watch.step)
        self._group.propose(Wishes(self._stop.requested, due, self._saved or 0))
        agreed = self._group.agreed()
        self._collect()
        if agreed.stop:
            self.save(state)
            raise Terminated
        if agreed.write:
            self._start(state)
        if agreed.saved > (self._saved or 0):  # another process has written it
            self._saved = agreed.saved
            self._reporter.update(checkpoint=self._report(agreed.saved, now()))

    def ended(self, state: State) -> None:
        """A run that was long enough for a checkpoint gets a last one, for publishing may be broken off."""
        self._group.settle()
        self._wait()
        if self._saved is not None or self._group.part.of > 1:
            self.save(state)

    def save(self, state: State) -> None:
        """Write now, and wait for it."""
        self._wait()
        if self._last[0] != state.watch.step:  # in all processes the same
            self._start(state)
            self._wait()

    def _choose(self, fingerprint: str) -> Choice:
        choice = Choice()
        if self._first:
            rejected: list[str] = []
            found = patiently(lambda: self._folder.newest(fingerprint, rejected), self._reporter)
            choice = Choice(found.folder.name if found else "", rejected)
        return msgspec.json.decode(self._group.told(msgspec.json.encode(choice)), type=Choice)

    def _due(self, step: int) -> bool:
        """Whether to ask the group for a checkpoint: once, and not before the last one is written."""
        if not self._first or self._asked or self._write:
            return False
        last_step, last_time = self._last
        passed = step - last_step if self._spec.every_steps else monotonic() - last_time
        self._asked = passed >= (self._spec.every_steps or self._spec.every_seconds)
        return self._asked

    def _start(self, state: State) -> None:
        self._asked = False
        record = state.watch.record()
        self._last = (record.step, monotonic())
        if self._first or self._group.collective:
            fingerprint = self._fingerprint(tensors := state.tensors())
            self._write = self._thread.submit(self._store, copied(tensors), record, fingerprint)

    def _store(self, tensors: Tensors, record: Record, fingerprint: str) -> CheckpointReport | None:
        """What the thread does; the first process says what came of it."""
        staging = self._folder.staging(record.step)
        staging.mkdir(parents=True, exist_ok=True)
        write(tensors, staging, self._group)
        others = self._others(record.step) if self._group.collective else {}
        if not self._first:
            return None
        description = self._folder.publish(
            record.step,
            lambda files: Description(
                fingerprint=fingerprint, time=now(), record=record, files=files | others
            ),
        )
        return self._report(record.step, description.time)

    def _others(self, step: int) -> dict[str, File]:
        """For the first process the shards that others have put beside its own."""
        try:
            files = {} if self._first else self._folder.contribute(step)
        except (StorageError, OSError):
            self._group.gathered(b"")
            raise
        words = self._group.gathered(msgspec.json.encode(files))
        if not all(words):
            raise Unreachable("another process could not store its shards")
        found: dict[str, File] = {}
        for word in words:
            found |= msgspec.json.decode(word, type=dict[str, File])
        return found

    def _wait(self) -> None:
        if self._write:
            wait([self._write])
            self._collect()

    def _collect(self) -> None:
        """Tell how the last write ended, once it has. That it failed is no reason to stop training."""
        if not self._write or not self._write.done():
            return
        ended, self._write = self._write, None
        try:
            report = ended.result()
        except (StorageError, OSError) as error:
            message = f"no checkpoint of step {self._last[0]}: {error}; training goes on"
            self._reporter.say(Reason.STORAGE_UNREACHABLE, message)
            return
        if report is None:
            return
        self._saved = report.step
        self._reporter.update(checkpoint=report)
        if self._reporter.report.reason == Reason.STORAGE_UNREACHABLE:
            self._reporter.say(Reason.TRAINING, f"wrote a checkpoint of step {report.step}")

    def _report(self, step: int, time: str) -> CheckpointReport:
        return CheckpointReport(step=step, uri=f"{self._public}/{name_of(step)}", time=time)

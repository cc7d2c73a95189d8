"""What the trainer says of itself: one report, replaced as a whole so that any thread may read it."""

import logging
from pathlib import Path
from typing import Any

import msgspec

from vaka.api.contract import Report
from vaka.api.reasons import Reason

TERMINATION_BYTES = 4096
"""Kubernetes keeps no more of a termination message."""

log = logging.getLogger(__name__)


class Reporter:
    """Holds the newest report; a change of reason or message is logged too."""

    def __init__(self) -> None:
        self._report = Report(reason=Reason.STARTING)

    @property
    def report(self) -> Report:
        return self._report

    def say(self, reason: Reason, message: str = "", *, waiting: bool = False) -> None:
        """Replace what is said; progress and metrics so far stay."""
        changed = (reason, message) != (self.report.reason, self.report.message)
        self.update(reason=reason, message=message, waiting=waiting)
        if changed:
            level = logging.WARNING if waiting else logging.INFO
            log.log(level, message or reason, extra={"fields": {"reason": reason}})

    def update(self, **changes: Any) -> None:
        self._report = msgspec.structs.replace(self.report, **changes)

    def write(self, file: Path) -> None:
        """The report as termination message, its sentence cut where it would be too long."""
        content = msgspec.json.encode(self.report)
        if (excess := len(content) - TERMINATION_BYTES) > 0:
            short = self.report.message.encode("ascii", "replace").decode()[: -2 * excess]
            content = msgspec.json.encode(msgspec.structs.replace(self.report, message=short))
        try:
            file.write_bytes(content)
        except OSError as error:
            log.warning("no termination message: %s", error)


class FileReporter(Reporter):
    """Leaves each report in a file, for a Relay in another process."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def update(self, **changes: Any) -> None:
        super().update(**changes)
        draft = self._file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self._report))
        draft.replace(self._file)


class Relay(Reporter):
    """Says what a FileReporter has said, or what it was told itself: whatever is newer."""

    def __init__(self) -> None:
        super().__init__()
        self._file: Path | None = None
        self._heard = b""

    def follow(self, file: Path) -> None:
        """From now on, listen to that file."""
        self._file = file

    @property
    def report(self) -> Report:
        self.hear()
        return self._report

    def hear(self) -> None:
        """Take what the file says, for it may soon be gone."""
        said = self._file.read_bytes() if self._file and self._file.exists() else b""
        if said and said != self._heard:
            heard, kept = msgspec.json.decode(said, type=Report), self._report.checkpoint
            # Workers that have just been started anew know of no checkpoint yet, though it is still there.
            self._report = msgspec.structs.replace(heard, checkpoint=heard.checkpoint or kept)
            self._heard = said

    def quote(self, file: Path) -> None:
        """Say why another ended, whose report that file is; progress and metrics so far stay."""
        if file.exists():
            last = msgspec.json.decode(file.read_bytes(), type=Report)
            self.update(reason=last.reason, message=last.message, waiting=last.waiting)

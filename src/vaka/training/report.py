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
        self.report = Report(reason=Reason.STARTING)

    def say(self, reason: Reason, message: str = "", *, waiting: bool = False) -> None:
        """Replace what is said; progress and metrics so far stay."""
        changed = (reason, message) != (self.report.reason, self.report.message)
        self.update(reason=reason, message=message, waiting=waiting)
        if changed:
            level = logging.WARNING if waiting else logging.INFO
            log.log(level, message or reason, extra={"fields": {"reason": reason}})

    def update(self, **changes: Any) -> None:
        self.report = msgspec.structs.replace(self.report, **changes)

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

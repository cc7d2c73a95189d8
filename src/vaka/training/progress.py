"""How far a run is and how long it will take."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from vaka.api.types import Metric
from vaka.models.architecture import Metrics

if TYPE_CHECKING:
    from vaka.training.watch import Progress

log = logging.getLogger(__name__)

LOG_SECONDS = 10.0
MEMORY_SECONDS = 15.0
"""How long a change of speed takes to show in the estimate, at least:"""
MEMORY_PART = 0.2
"""this part of the time so far, for a validation of a minute says little of the hours to come."""


class Estimate:
    """Remaining seconds by the recent speed; smoothed, so that it does not jump."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._step = 0
        self._speed: float | None = None

    def remaining(self, *, step: int, steps: int, seconds: float) -> int | None:
        """After `step` of `steps` at `seconds` since the start; None while there is nothing to go by."""
        passed, done = seconds - self._seconds, step - self._step
        if passed > 0 and done > 0:
            speed = done / passed
            memory = max(MEMORY_SECONDS, MEMORY_PART * seconds)
            weight = 1.0 if self._speed is None else 1 - math.exp(-passed / memory)
            self._speed = (1 - weight) * (self._speed or 0.0) + weight * speed
            self._seconds, self._step = seconds, step
        return None if self._speed is None else math.ceil((steps - step) / self._speed)


class Journal:
    """A line of the log for the first step, and then one every ten seconds."""

    def __init__(self) -> None:
        self._next = 0.0

    def note(self, progress: Progress) -> None:
        if progress.seconds < self._next:
            return
        self._next = progress.seconds + LOG_SECONDS
        log.info(
            "step %d of %d",
            progress.step,
            progress.steps,
            extra={"fields": {"epoch": progress.epoch, "loss": progress.loss} | progress.validation},
        )


def percentage(step: int, steps: int) -> int:
    """Whole percents of the steps that are done; 100 is only for a published model."""
    return min(99, 100 * step // steps)


def as_metrics(values: Metrics) -> list[Metric]:
    """The values as decimal strings of six digits."""
    return [Metric(name=name, value=f"{value:.6g}") for name, value in values.items()]

"""What a run has to say of itself while it trains."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import msgspec
import torch
from torch import Tensor

from vaka.models.architecture import Learner, Metrics
from vaka.training.errors import NonFiniteLoss

REPORT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far training is. `step` and `epoch` count what is done; loss is smoothed over recent steps.

    `seconds` is the time spent on these steps, by processes that were stopped too.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    samples: int
    seconds: float
    validation: Metrics


class Record(msgspec.Struct, rename="camel", kw_only=True):
    """The numbers of a run that a checkpoint keeps."""

    step: int = 0
    seconds: float = 0.0
    loss: float | None = None
    validation: dict[str, float] = {}


class Watch:
    """Checks the losses and reports progress twice a second.

    Losses stay on the device until then, for to read one makes a GPU wait.
    """

    def __init__(self, learner: Learner, steps: int, report: Callable[[Progress], None]) -> None:
        self._learner = learner
        self._steps = steps
        self._report = report
        self._losses: list[Tensor] = []
        self._record = Record()
        self._started = self._reported = monotonic()

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self._record.step

    def record(self) -> Record:
        """The numbers as they are now. NonFiniteLoss, if a loss since the last report is not finite."""
        self._take_losses()
        return msgspec.structs.replace(self._record, seconds=self.seconds())

    def resume(self, record: Record) -> None:
        """Go on from there."""
        self._record = record
        self._started = monotonic() - record.seconds
        self._tell()

    def seconds(self) -> float:
        """Time spent on the steps so far."""
        return monotonic() - self._started

    def stepped(self, loss: Tensor) -> None:
        """Note the loss of one more step. NonFiniteLoss at a report, if one since the last is not finite."""
        self._record.step += 1
        self._losses.append(loss)
        if self.step == 1 or monotonic() - self._reported >= REPORT_SECONDS:
            self._tell()

    def validated(self, metrics: Metrics) -> None:
        """Note what the network achieves on validation data."""
        self._record.validation = metrics
        self._tell()

    def _tell(self) -> None:
        self._take_losses()
        self._reported = monotonic()
        progress = Progress(
            step=self.step,
            steps=self._steps,
            epoch=self.step // self._learner.steps_per_epoch,
            loss=self._record.loss or 0.0,
            samples=self.step * self._learner.samples_per_step,
            seconds=self.seconds(),
            validation=self._record.validation,
        )
        self._report(progress)

    def _take_losses(self) -> None:
        first = self.step - len(self._losses) + 1
        losses = torch.stack(self._losses).float().tolist() if self._losses else []
        self._losses.clear()
        for step, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                epoch, batch = divmod(step - 1, self._learner.steps_per_epoch)
                place = f"step {step} (batch {batch + 1} of epoch {epoch + 1})"
                raise NonFiniteLoss(f"the loss is {loss} at {place}: try a lower learningRate")
            previous = loss if self._record.loss is None else self._record.loss
            self._record.loss = 0.95 * previous + 0.05 * loss

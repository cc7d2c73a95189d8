"""What a run has to say of itself while it trains."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import msgspec
import torch
from torch import Tensor

from vaka.api.architectures.base import Hyperparameters
from vaka.models.architecture import Learner, Metrics
from vaka.training.errors import NonFiniteLoss
from vaka.training.history import History

REPORT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far training is. `step` counts what is done, of `steps` that there are to do.

    `epoch` counts the epochs that are validated, and `validation` is that of the last of them; `loss` is
    smoothed over recent steps. `seconds` is the time spent on the steps, by stopped processes too.
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
    epoch: int = 0
    """Epochs that are validated."""
    seconds: float = 0.0
    loss: float | None = None
    validation: dict[str, float] = {}
    best: float | None = None
    """The best that was validated so far, and when first."""
    best_epoch: int = 0
    history: History = msgspec.field(default_factory=History)


class Watch:
    """Checks the losses and reports progress twice a second.

    Losses stay on the device until then, for to read one makes a GPU wait.
    """

    def __init__(self, learner: Learner, hyper: Hyperparameters, report: Callable[[Progress], None]) -> None:
        self._learner = learner
        self._epochs = hyper.epochs
        self._patience = hyper.patience or hyper.epochs
        self._report = report
        self._losses: list[Tensor] = []
        self._record = Record()
        self._started = self._reported = monotonic()

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self._record.step

    @property
    def steps(self) -> int:
        """Steps that there are to do: no more than are done, once training stops early."""
        return self.step if self.early else self._epochs * self._learner.steps_per_epoch

    @property
    def early(self) -> str:
        """Why training stops before its last epoch; empty while it does not."""
        epoch = self._record.epoch
        stale = epoch - self._record.best_epoch
        if stale < self._patience or epoch == self._epochs:
            return ""
        epochs = "1 epoch" if stale == 1 else f"{stale} epochs"
        return (
            f"stopped early after epoch {epoch}: {self._learner.measure.name} has not improved for {epochs}"
        )

    def record(self) -> Record:
        """The numbers as they are now. NonFiniteLoss, if a loss since the last report is not finite."""
        self._take_losses()
        history = self._record.history.copy()  # a checkpoint is written while training goes on
        return msgspec.structs.replace(self._record, seconds=self.seconds(), history=history)

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

    def validated(self, metrics: Metrics) -> bool:
        """Note what the network achieves on validation data after an epoch; whether it is the best so far."""
        record, measure = self._record, self._learner.measure
        value = metrics[measure.name]
        record.epoch, record.validation = record.epoch + 1, metrics
        record.history.validations.append(metrics)
        better = record.best is None or measure.sign * value > measure.sign * record.best
        if better:
            record.best, record.best_epoch = value, record.epoch
        self._tell()
        return better

    def _tell(self) -> None:
        self._take_losses()
        self._reported = monotonic()
        progress = Progress(
            step=self.step,
            steps=self.steps,
            epoch=self._record.epoch,
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
            self._record.history.stepped(loss)
            previous = loss if self._record.loss is None else self._record.loss
            self._record.loss = 0.95 * previous + 0.05 * loss

"""The training loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import torch
from torch import Tensor, nn

from vaka.api.hyperparameters import CNN
from vaka.models.architecture import Learner, Metrics
from vaka.training.adamw import AdamW
from vaka.training.ema import WeightAverage
from vaka.training.errors import NonFiniteLoss
from vaka.training.schedule import one_cycle

REPORT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far training is. `step` and `epoch` count what is done; loss is smoothed over recent steps."""

    step: int
    steps: int
    epoch: int
    loss: float
    samples: int
    seconds: float
    validation: Metrics


def fit(learner: Learner, hyper: CNN, report: Callable[[Progress], None]) -> nn.Module:
    """Train; the result is the network with averaged weights, in evaluation mode."""
    steps = hyper.epochs * learner.steps_per_epoch
    optimizer = AdamW(learner.network, weight_decay=hyper.weight_decay)
    average = WeightAverage(learner.network, hyper.ema_decay)
    watch = Watch(learner, steps, report)
    learner.network.train()
    for step in range(steps):
        loss = learner.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(one_cycle(step, steps, hyper.learning_rate))
        average.update()
        watch.stepped(loss.detach())
        if (step + 1) % learner.steps_per_epoch == 0:
            watch.validated(learner.validate(average.network))
    return average.network


class Watch:
    """Checks the losses and reports progress twice a second.

    Losses stay on the device until then, for to read one makes a GPU wait.
    """

    def __init__(self, learner: Learner, steps: int, report: Callable[[Progress], None]) -> None:
        self._learner = learner
        self._steps = steps
        self._report = report
        self._step = 0
        self._losses: list[Tensor] = []
        self._smoothed: float | None = None
        self._validation: Metrics = {}
        self._started = self._reported = monotonic()

    def stepped(self, loss: Tensor) -> None:
        """Note the loss of one more step. NonFiniteLoss at a report, if one since the last is not finite."""
        self._step += 1
        self._losses.append(loss)
        if self._step == 1 or monotonic() - self._reported >= REPORT_SECONDS:
            self._tell()

    def validated(self, metrics: Metrics) -> None:
        """Note what the network achieves on validation data."""
        self._validation = metrics
        self._tell()

    def _tell(self) -> None:
        self._take_losses()
        self._reported = monotonic()
        samples = self._step * self._learner.samples_per_step
        progress = Progress(
            step=self._step,
            steps=self._steps,
            epoch=self._step // self._learner.steps_per_epoch,
            loss=self._smoothed or 0.0,
            samples=samples,
            seconds=self._reported - self._started,
            validation=self._validation,
        )
        self._report(progress)

    def _take_losses(self) -> None:
        first = self._step - len(self._losses) + 1
        losses = torch.stack(self._losses).float().tolist() if self._losses else []
        self._losses.clear()
        for step, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                raise NonFiniteLoss(f"the loss is {loss} at step {step}: try a lower learningRate")
            previous = loss if self._smoothed is None else self._smoothed
            self._smoothed = 0.95 * previous + 0.05 * loss

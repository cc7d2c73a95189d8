"""The training loop."""

from collections.abc import Callable
from typing import Protocol

from vaka.api.hyperparameters import CNN
from vaka.models.architecture import Learner
from vaka.training.adamw import AdamW
from vaka.training.ema import WeightAverage
from vaka.training.group import Alone, Group
from vaka.training.schedule import one_cycle
from vaka.training.snapshot import State
from vaka.training.watch import Progress, Watch


class Keeper(Protocol):
    """Keeps checkpoints of the state: see `vaka.training.checkpoint`."""

    def stepped(self, state: State) -> None:
        """One more step is done."""

    def ended(self, state: State) -> None:
        """The last step is done."""


class Forgetful:
    """Keeps nothing."""

    def stepped(self, state: State) -> None: ...

    def ended(self, state: State) -> None: ...


def begin(
    learner: Learner, hyper: CNN, report: Callable[[Progress], None], group: Group | None = None
) -> State:
    """The state before the first step, in each process of the group."""
    together: Group = group or Alone()
    together.prepare(learner)
    watch = Watch(learner, hyper.epochs * learner.steps_per_epoch, report)
    average = WeightAverage(learner.network, hyper.ema_decay)
    together.connect(learner, average.network)
    return State(learner.network, average, AdamW(learner.network, weight_decay=hyper.weight_decay), watch)


def fit(learner: Learner, hyper: CNN, state: State, keeper: Keeper | None = None) -> None:
    """Train from where the state is to the end. What counts then is the averaged network."""
    keeper = keeper or Forgetful()
    steps = hyper.epochs * learner.steps_per_epoch
    part, average, watch = learner.part, state.average, state.watch
    learner.network.train()
    for step in range(watch.step, steps):
        loss = learner.loss(step)
        (loss * part.of).backward()  # type: ignore[no-untyped-call]  # gradients are averaged over processes
        if hyper.max_grad_norm:
            state.optimizer.clip(hyper.max_grad_norm, part.total)
        state.optimizer.step(one_cycle(step, steps, hyper.learning_rate))
        average.update()
        watch.stepped(part.total(loss.detach()))
        if (step + 1) % learner.steps_per_epoch == 0:
            watch.validated(learner.validate(average.network))
        keeper.stepped(state)
    keeper.ended(state)

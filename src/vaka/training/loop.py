"""The training loop."""

from collections.abc import Callable
from typing import Protocol

from vaka.api.architectures.base import Hyperparameters
from vaka.models.architecture import Learner
from vaka.training.best import BestWeights
from vaka.training.descent import add_gradients, check_pieces
from vaka.training.ema import WeightAverage
from vaka.training.group import Alone, Group
from vaka.training.optimizer import clip, optimizer
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
    learner: Learner, hyper: Hyperparameters, report: Callable[[Progress], None], group: Group | None = None
) -> State:
    """The state before the first step, in each process of the group."""
    together: Group = group or Alone()
    together.prepare(learner)
    check_pieces(learner)
    watch = Watch(learner, hyper, report)
    average = WeightAverage(learner.network, hyper.ema_decay)
    together.connect(learner, average.network)
    best = BestWeights(average.network) if hyper.keep_best else None
    return State(learner.network, average, optimizer(learner.network, hyper), watch, best)


def fit(learner: Learner, hyper: Hyperparameters, state: State, keeper: Keeper | None = None) -> None:
    """Train from where the state is to the end. What counts then is `state.result()`."""
    keeper = keeper or Forgetful()
    steps = hyper.epochs * learner.steps_per_epoch
    part, average, watch = learner.part, state.average, state.watch
    weights = list(learner.network.parameters())
    learner.network.train()
    while (step := watch.step) < watch.steps:
        loss = add_gradients(learner, step)
        if hyper.max_grad_norm:
            clip(weights, hyper.max_grad_norm, part.total)
        state.optimizer.step(one_cycle(step, steps, hyper.learning_rate))
        average.update()
        watch.stepped(part.total(loss))
        if watch.step % learner.steps_per_epoch == 0:
            state.validated(learner.validate(average.network))
        keeper.stepped(state)
    keeper.ended(state)

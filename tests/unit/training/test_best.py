"""When training stops early, and which epoch is published, also by a run that goes on from a checkpoint."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vaka.api.architectures.cnn import CNN
from vaka.api.run import Run
from vaka.data.dataset import Dataset, Images
from vaka.models.architecture import Metrics
from vaka.models.cnn.image_learner import ImageLearner
from vaka.training.loop import begin, fit
from vaka.training.report import Reporter
from vaka.training.run import execute
from vaka.training.snapshot import State, copied
from vaka.training.watch import Progress

EPOCHS = 6
IMAGES = Images(np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), np.uint8), np.arange(8) % 2)


class Judged(ImageLearner):
    """Its epochs achieve what a test says they do; it notes the weights after each."""

    def __init__(self, hyper: CNN, accuracies: list[float]) -> None:
        super().__init__(Dataset(IMAGES, IMAGES, ("a", "b")), hyper, "cpu")
        self._accuracies = accuracies
        self.weights: list[dict[str, Tensor]] = []
        self.done = 0

    def validate(self, network: nn.Module) -> Metrics:
        self.weights.append(copied(network.state_dict()))
        self.done += 1
        return {"accuracy": self._accuracies[self.done - 1]}


class Interrupted(Exception):
    """The process ends after a step."""


@dataclass
class Interrupts:
    """Ends the process after one of these steps, and gives its state to the next."""

    steps: set[int]
    told: list[Progress] = field(default_factory=list)

    def stepped(self, state: State) -> None:
        if state.watch.step in self.steps:
            raise Interrupted

    def ended(self, _state: State) -> None: ...

    def train(self, learner: Judged, hyper: CNN, before: State | None = None) -> State:
        state = begin(learner, hyper, self.told.append)
        if before:
            held = before.tensors()
            for name, tensor in state.tensors().items():
                tensor.copy_(held[name])
            state.resume(before.watch.record())
            learner.done = self.told[-1].epoch
        try:
            fit(learner, hyper, state, self)
        except Interrupted:
            self.steps.remove(state.watch.step)
            return self.train(learner, hyper, state)
        return state


def expected(accuracies: list[float], patience: int | None) -> tuple[int, int]:
    """Epochs that are trained, and the best of them."""
    best = 1
    for epoch in range(1, EPOCHS + 1):
        if accuracies[epoch - 1] > accuracies[best - 1]:
            best = epoch
        if patience and epoch - best >= patience:
            break
    return epoch, best


@cache
def weights_by_epoch() -> list[dict[str, Tensor]]:
    """After each epoch of a run that trains all of them."""
    hyper = CNN(epochs=EPOCHS, batch_size=4, width=4)
    Interrupts(set()).train(learner := Judged(hyper, [0.0] * EPOCHS), hyper)
    return learner.weights


@given(
    accuracies=st.lists(st.sampled_from([0.0, 0.5, 0.9]), min_size=EPOCHS, max_size=EPOCHS),
    patience=st.none() | st.integers(1, EPOCHS),
    keep_best=st.booleans(),
    stops=st.sets(st.integers(1, 2 * EPOCHS), max_size=3),
)
@settings(max_examples=20)
def test_a_run_stops_and_keeps_as_asked_wherever_it_is_interrupted(
    accuracies: list[float], patience: int | None, keep_best: bool, stops: set[int]
) -> None:
    hyper = CNN(epochs=EPOCHS, batch_size=4, width=4, patience=patience, keep_best=keep_best)
    interrupts = Interrupts(set(stops))
    state = interrupts.train(learner := Judged(hyper, accuracies), hyper)
    last, best = expected(accuracies, patience)
    assert learner.done == last
    assert (interrupts.told[-1].step, interrupts.told[-1].epoch) == (2 * last, last)
    assert interrupts.told[-1].steps == 2 * last, "nothing is left to do"
    assert bool(state.watch.early) == (last < EPOCHS)
    result, wanted = state.result().state_dict(), weights_by_epoch()[(best if keep_best else last) - 1]
    assert all(torch.equal(result[name], wanted[name]) for name in wanted)
    for progress in interrupts.told:
        if progress.epoch:
            assert progress.validation["accuracy"] == accuracies[progress.epoch - 1]


@pytest.mark.parametrize(("patience", "told"), [(1, "1 epoch"), (2, "2 epochs")])
def test_what_is_published_early_says_why(
    tmp_path: Path, run_on: object, write_shades: object, patience: int, told: str
) -> None:
    write_shades(tmp_path / "shades")  # type: ignore[operator]
    (tmp_path / "scratch").mkdir()
    run: Run = run_on(tmp_path, epochs=200, patience=patience)  # type: ignore[operator]
    execute(run, reporter := Reporter(), tmp_path / "scratch")
    report = reporter.report
    assert (report.reason, report.progress_percentage) == ("Succeeded", 100)
    why = f"stopped early after epoch {report.epoch}: accuracy has not improved for {told}"
    assert report.message == f"published pvc://models/shades; {why}"

"""A training run is decided by its seed, whatever the number of pieces and processes, and it learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaka.api.architectures.yolo import YOLO
from vaka.artifacts.manifest import GRAPH
from vaka.artifacts.runtime import predictor
from vaka.data.detection.dataset import DetectionSet
from vaka.models.architecture import Part
from vaka.models.yolo.detection_learner import DetectionLearner
from vaka.training.export import export
from vaka.training.loop import begin, fit
from vaka.training.snapshot import State, copied

Shades = Callable[..., DetectionSet]


def learner(data: DetectionSet, **changes: Any) -> DetectionLearner:
    return DetectionLearner(data, YOLO(**({"batch_size": 8, "image_size": 64} | changes)), "cpu")


def test_a_step_gives_the_same_loss_whenever_it_comes(squares: Shades) -> None:
    forth, back = learner(squares()), learner(squares())
    losses = [forth.loss(step).item() for step in range(3)]
    assert [back.loss(step).item() for step in reversed(range(3))] == losses[::-1]
    assert len(set(losses)) == 3
    assert learner(squares(), seed=1).loss(0).item() != losses[0]


def test_pieces_and_processes_see_parts_of_the_same_batch(squares: Shades) -> None:
    whole, halves = learner(squares()), learner(squares(), accumulate_steps=2)
    batch = whole._batch(3, 0)
    pieces = [halves._batch(3, piece).images for piece in (0, 1)]
    assert torch.equal(torch.cat(pieces), batch.images)
    processes = [learner(squares()) for _ in range(2)]
    for rank, one in enumerate(processes):
        one.part = Part(rank, 2)
    assert torch.equal(torch.cat([one._batch(3, 0).images for one in processes]), batch.images)


def test_mosaics_end_before_the_training_does(squares: Shades) -> None:
    run = learner(squares(), epochs=10, mosaic_until=0.5)  # of two steps each
    assert [run._augmentation(step).mosaic for step in (0, 9, 10, 19)] == [1, 1, 0, 0]


def test_a_data_set_without_objects_in_a_batch_still_trains(squares: Shades) -> None:
    data = squares(8)
    none = np.zeros(0, np.int64)
    bare = [replace(p, boxes=np.zeros((0, 4), np.float32), classes=none, crowd=none > 0) for p in data.train]
    loss = learner(replace(data, train=bare)).loss(0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)


def test_processes_together_measure_what_one_alone_measures(squares: Shades) -> None:
    alone, first = learner(squares()), learner(squares())
    parts = []
    for rank in (0, 1):
        first.part = Part(rank, 2, lambda counted: parts.append(counted) or counted)  # type: ignore[func-returns-value]
        first.validate(first.network.eval())
    first.part = Part(0, 1, lambda _: parts[0] + parts[1])
    assert first.validate(first.network) == alone.validate(alone.network.eval())


class Halfway:
    """Keeps what there is after the second step."""

    def stepped(self, state: State) -> None:
        if state.watch.step == 2:
            self.tensors, self.record = copied(state.tensors()), state.watch.record()

    def ended(self, state: State) -> None: ...


def test_a_run_that_goes_on_ends_as_one_that_nobody_disturbed(squares: Shades) -> None:
    keeper, states = Halfway(), []
    for _ in range(2):
        run = learner(squares(8), epochs=2, batch_size=4)
        states.append(begin(run, run.hyper, lambda _: None))
        if len(states) == 2:
            for name, tensor in states[1].tensors().items():
                tensor.copy_(keeper.tensors[name])
            states[1].resume(keeper.record)
        fit(run, run.hyper, states[-1], keeper)
    whole, resumed = (state.tensors() for state in states)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_it_learns_and_the_published_graph_is_as_good(squares: Shades, tmp_path: Path) -> None:
    quick = {"epochs": 12, "batch_size": 4, "learning_rate": 0.005, "ema_decay": 0.9}
    run = learner(squares(32), mosaic=0.0, zoom=0.2, **quick)
    state = begin(run, run.hyper, lambda _: None)
    fit(run, run.hyper, state)
    trained = run.validate(state.result())
    assert trained["map50"] > 0.8
    export(run.graph(state.result()), state.result(), tmp_path)
    published = run.test(predictor(tmp_path / GRAPH))
    assert abs(published["map"] - trained["map"]) < 0.1

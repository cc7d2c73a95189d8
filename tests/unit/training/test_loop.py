"""The loop: repeatable bit for bit, honest about its progress, and stopped by a loss that is no number."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vaka.api.architectures.cnn import CNN
from vaka.data.dataset import Dataset, Images
from vaka.models.cnn.image_learner import ImageLearner
from vaka.training.errors import NonFiniteLoss
from vaka.training.export import ExportError, check, export
from vaka.training.loop import begin, fit
from vaka.training.progress import Estimate, as_metrics, percentage
from vaka.training.watch import Progress


def shades(count: int = 64) -> Dataset:
    """Dark and bright noise: a network learns it in a moment."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 120, (count, 1, 12, 12)) + 120 * labels[:, None, None, None]
    images = Images(pixels.astype(np.uint8), labels)
    return Dataset(images, images, ("dark", "bright"))


HYPER = CNN(epochs=6, batch_size=16, width=8)


def trained(hyper: CNN = HYPER) -> tuple[dict[str, Tensor], list[Progress]]:
    progress: list[Progress] = []
    learner = ImageLearner(shades(), hyper, "cpu")
    state = begin(learner, hyper, progress.append)
    fit(learner, hyper, state)
    return state.average.network.state_dict(), progress


def test_equal_seeds_give_equal_weights_bit_for_bit() -> None:
    first, second = trained()[0], trained()[0]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_tells_how_far_it_is() -> None:
    progress = trained()[1]
    assert progress[0].step == 1
    assert [p.step for p in progress] == sorted(p.step for p in progress)
    assert (progress[-1].step, progress[-1].steps, progress[-1].epoch) == (24, 24, 6)
    assert progress[-1].validation["accuracy"] > 0.9
    assert progress[-1].loss < progress[0].loss


def test_a_loss_that_is_no_number_stops_the_run_and_names_its_step() -> None:
    class Explodes(ImageLearner):
        def loss(self, step: int, piece: int = 0) -> Tensor:
            return super().loss(step, piece) * (math.nan if step == 9 else 1.0)

    learner = Explodes(shades(), HYPER, "cpu")
    with pytest.raises(
        NonFiniteLoss, match=r"the loss is nan at step 10 \(batch 2 of epoch 3\): try a lower"
    ):
        fit(learner, HYPER, begin(learner, HYPER, lambda _: None))


def test_the_exported_graph_gives_what_the_network_gives(tmp_path: object) -> None:
    learner = ImageLearner(shades(), HYPER, "cpu")
    graph = learner.graph(learner.network.eval())
    export(graph, learner.network, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ExportError, match=r"probabilities of the exported graph is 0\.\d+ off"):
        check(graph, lambda inputs: {"probabilities": np.zeros((len(inputs["image"]), 2), np.float32)})


def test_the_estimate_follows_the_speed_smoothly() -> None:
    estimate = Estimate()
    assert estimate.remaining(step=0, steps=1000, seconds=0.0) is None
    steady = [estimate.remaining(step=10 * t, steps=1000, seconds=float(t)) for t in range(1, 11)]
    assert steady == [99 - t for t in range(10)]
    slower = estimate.remaining(step=101, steps=1000, seconds=11.0)
    assert slower is not None
    assert 90 < slower < 110
    for t in range(12, 200):
        slower = estimate.remaining(step=90 + t, steps=1000, seconds=float(t))
    assert slower == pytest.approx(1000 - 90 - 199, rel=0.01)


def test_a_pause_after_each_epoch_does_not_make_the_estimate_jump() -> None:
    estimate, ends = Estimate(), []
    for step in range(1, 1500):
        seconds = step + 30 * (step // 60)
        remaining = estimate.remaining(step=step, steps=2000, seconds=seconds)
        assert remaining is not None
        ends.append(seconds + remaining)
    assert max(ends[500:]) < 1.2 * min(ends[500:])


def test_a_hundred_percent_is_only_for_a_published_model() -> None:
    assert [percentage(step, 400) for step in (0, 3, 4, 200, 399, 400)] == [0, 0, 1, 50, 99, 99]


def test_metrics_are_decimal_strings() -> None:
    assert [(m.name, m.value) for m in as_metrics({"loss": 0.123456789, "accuracy": 1.0})] == [
        ("loss", "0.123457"),
        ("accuracy", "1"),
    ]

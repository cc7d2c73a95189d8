"""A training run is decided by its seed and nothing else."""

import numpy as np
import torch

from vaka.api.architectures.cnn import CNN
from vaka.data.dataset import Dataset, Images
from vaka.models.cnn.image_learner import ImageLearner


def dataset(count: int = 50, channels: int = 1) -> Dataset:
    random = np.random.default_rng(0)
    images = Images(random.integers(0, 256, (count, channels, 12, 12), np.uint8), np.arange(count) % 2)
    return Dataset(images, images, ("a", "b"))


def learner(seed: int = 0, **changes: int) -> ImageLearner:
    return ImageLearner(dataset(), CNN(batch_size=16, width=8, seed=seed, **changes), "cpu")


def test_a_step_gives_the_same_loss_whenever_it_comes() -> None:
    forth, back = learner(), learner()
    losses = [forth.loss(step).item() for step in range(6)]
    assert [back.loss(step).item() for step in reversed(range(6))] == losses[::-1]
    assert len(set(losses)) == 6


def test_another_seed_is_another_run() -> None:
    assert learner(seed=0).loss(0).item() != learner(seed=1).loss(0).item()


def test_a_batch_is_never_larger_than_the_data() -> None:
    few = ImageLearner(dataset(5), CNN(batch_size=128, width=8), "cpu")
    assert (few.samples_per_step, few.steps_per_epoch) == (5, 1)


def test_the_graph_ends_with_probabilities_and_says_what_it_takes() -> None:
    run = learner()
    graph = run.graph(run.network)
    probabilities = graph.module(*graph.example)
    assert torch.allclose(probabilities.sum(1), torch.ones(2))
    assert graph.signature.inputs[0].shape == [-1, 1, 12, 12]
    assert graph.signature.outputs[0].shape == [-1, 2]
    assert graph.labels == ["a", "b"]


def test_a_constant_channel_is_no_division_by_zero() -> None:
    black = Images(np.zeros((4, 3, 8, 8), np.uint8), np.arange(4) % 2)
    run = ImageLearner(Dataset(black, black, ("a", "b")), CNN(width=8), "cpu")
    assert torch.isfinite(run.loss(0))

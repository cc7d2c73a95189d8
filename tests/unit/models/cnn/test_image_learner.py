"""A training run is decided by its seed and nothing else."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from vaka.api.architectures.cnn import CNN
from vaka.data.dataset import Dataset, Images
from vaka.models.cnn.image_learner import ImageLearner, class_targets, mixup_shares, statistics


def dataset(count: int = 50, channels: int = 1) -> Dataset:
    random = np.random.default_rng(0)
    images = Images(random.integers(0, 256, (count, channels, 12, 12), np.uint8), np.arange(count) % 2)
    return Dataset(images, images, ("a", "b"))


def learner(seed: int = 0, **changes: Any) -> ImageLearner:
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


def test_statistics_are_those_of_all_values_of_a_channel() -> None:
    images = dataset(channels=3).train
    mean, deviation = statistics(images)
    assert mean == pytest.approx(images.pixels.mean((0, 2, 3)))
    assert deviation == pytest.approx(images.pixels.std((0, 2, 3)))


def test_a_constant_channel_is_no_division_by_zero() -> None:
    black = Images(np.zeros((4, 3, 8, 8), np.uint8), np.arange(4) % 2)
    run = ImageLearner(Dataset(black, black, ("a", "b")), CNN(width=8), "cpu")
    assert torch.isfinite(run.loss(0))


def shown(run: ImageLearner, step: int = 0) -> torch.Tensor:
    """The pictures of a step."""
    seen: list[torch.Tensor] = []
    run.replica = Watcher(seen, run.network)
    run.loss(step)
    return torch.cat(seen)


class Watcher(nn.Module):
    def __init__(self, seen: list[torch.Tensor], network: nn.Module) -> None:
        super().__init__()
        self.seen, self.network = seen, network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images)
        result: torch.Tensor = self.network(images)
        return result


def test_the_loss_is_cross_entropy_with_smoothed_labels() -> None:
    targets = class_targets(dataset(), CNN(label_smoothing=0.2))
    logits, labels = torch.randn(9, 2), torch.arange(9) % 2
    theirs = functional.cross_entropy(logits, labels, label_smoothing=0.2)
    assert torch.allclose(functional.cross_entropy(logits, targets[labels]), theirs)


def test_balanced_weights_let_all_classes_count_alike() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [3])
    images = Images(np.zeros((10, 1, 8, 8), np.uint8), labels)
    data = Dataset(images, images, ("a", "b", "never", "d"))
    weights = class_targets(data, CNN(class_weights="balanced")).sum(1)
    counted = [weights[labels[labels == i]].sum().item() for i in (0, 1, 3)]
    assert counted == pytest.approx([10 / 3] * 3)
    assert class_targets(data, CNN()).sum(1).tolist() == pytest.approx([1] * 4)


def test_mixup_blends_the_samples_of_a_batch_in_pairs() -> None:
    plain, mixing = shown(learner(augment=False)), shown(learner(augment=False, mixup=1.0))
    other = plain.flip(0)
    share = ((mixing - other) / (plain - other)).flatten(1).nanmedian(1).values.view(-1, 1, 1, 1)
    assert torch.allclose(other + share * (plain - other), mixing, atol=0.1)
    assert share.std() > 0.1
    assert learner(augment=False, mixup=1.0).loss(0).item() != learner(augment=False).loss(0).item()


def test_mixing_depends_on_no_other_process() -> None:
    together = shown(learner(mixup=0.4))
    run = learner(mixup=0.4, accumulate_steps=2)
    seen: list[torch.Tensor] = []
    run.replica = Watcher(seen, run.network)
    for piece in range(2):
        run.loss(0, piece)
    assert torch.equal(torch.cat(seen), together)


def test_a_small_alpha_blends_little() -> None:
    weak, strong = (mixup_shares(alpha, 0, 1000) for alpha in (0.05, 5.0))
    assert ((weak - 0.5).abs() > 0.45).float().mean() > 0.7
    assert ((strong - 0.5).abs() < 0.3).float().mean() > 0.9

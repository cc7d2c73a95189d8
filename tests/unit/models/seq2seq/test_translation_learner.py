"""A training run is decided by its seed and nothing else, and learns a grammar."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vaka.api.architectures.seq2seq import Seq2Seq
from vaka.artifacts.runtime import predictor
from vaka.data.text_pairs import TextPairs
from vaka.models.architecture import Part
from vaka.models.seq2seq.translation_learner import TranslationLearner
from vaka.training.export import export
from vaka.training.loop import begin, fit

Make = Callable[..., TranslationLearner]


@pytest.fixture(name="learner")
def learner_fixture(language: Callable[[int, int], TextPairs], settings: Callable[..., Seq2Seq]) -> Make:
    return lambda **changes: TranslationLearner(language(40, 7), settings(**changes), "cpu")


def test_a_step_gives_the_same_loss_whenever_it_comes(learner: Make) -> None:
    forth, back = learner(), learner()
    losses = [forth.loss(step).item() for step in range(6)]
    assert [back.loss(step).item() for step in reversed(range(6))] == losses[::-1]
    assert len(set(losses)) == 6


def test_another_seed_is_another_run(learner: Make) -> None:
    assert learner(seed=0).loss(0).item() != learner(seed=1).loss(0).item()


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_and_pieces_add_up_to_the_whole(learner: Make, processes: int) -> None:
    whole, parts = learner(dropout=0.3), []
    for rank in range(processes):
        one = learner(dropout=0.3, accumulate_steps=2)
        one.part = Part(rank, processes)
        parts += [one.loss(3, piece).item() for piece in range(2)]
    assert sum(parts) == pytest.approx(whole.loss(3).item(), rel=1e-5)


@pytest.mark.parametrize("processes", [2, 9])
def test_processes_validate_together(learner: Make, processes: int) -> None:
    """9 is more than there are pairs."""
    whole, found = learner(), []
    for rank in range(processes):
        one = learner()
        one.part = Part(rank, processes, total=lambda own: found.append(own) or own)  # type: ignore[func-returns-value]
        one.validate(one.network)
    loss, right = (torch.stack(found).sum(0) / sum(map(len, whole._validation[1]))).tolist()
    assert whole.validate(whole.network) == pytest.approx({"loss": loss, "subwordAccuracy": right})


def test_texts_may_be_a_quarter_longer_than_those_that_were_seen(learner: Make) -> None:
    run = learner()
    longest = max(map(len, run._train[0]))
    assert run.coder.limits.source == max(16, -(-longest * 5 // 4))
    assert run.coder.limits.characters == 200


def test_the_published_graph_is_what_was_trained(learner: Make, tmp_path: Path) -> None:
    run = learner(epochs=3)
    export(run.graph(run.network), run.network, tmp_path)  # compares the two
    assert run.validate(run.network)["loss"] == pytest.approx(
        run.test(predictor(tmp_path / "model.onnx"))["loss"], rel=1e-4
    )
    assert (tmp_path / "subwords.model").read_bytes() == run.coder.vocabulary.model


def test_it_learns_a_grammar_and_does_not_only_remember(
    language: Callable[[int, int], TextPairs], settings: Callable[..., Seq2Seq], tmp_path: Path
) -> None:
    """Of 2,304 sentences it sees 600 and translates 300 others."""
    hyper: Any = settings(width=64, epochs=20, batch_size=32, learning_rate=0.02, dropout=0.1)
    run = TranslationLearner(language(600, 300), hyper, "cpu")
    state = begin(run, hyper, lambda _: None)
    fit(run, hyper, state)
    network = state.result()
    export(run.graph(network), network, tmp_path)
    found = run.test(predictor(tmp_path / "model.onnx"))
    assert found["exactMatch"] > 0.95
    assert found["trainExactMatch"] > 0.95
    assert found["chrf"] > 98
    assert replace(run.data).validation.sources[0] not in run.data.train.sources

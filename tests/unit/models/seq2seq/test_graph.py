"""The search finds what is likeliest, row by row, and ONNX Runtime finds the same."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vaka.models.seq2seq.graph import TranslationGraph
from vaka.models.seq2seq.net import Translator
from vaka.models.seq2seq.tokens import END, PAD, START

VOCABULARY = 8


def network(scale: float = 3) -> Translator:
    """Large weights, for clear preferences."""
    torch.manual_seed(1)
    net = Translator(vocabulary=VOCABULARY, width=8).eval().requires_grad_(False)
    for weight in net.parameters():
        weight.mul_(scale)
    return net


def sources(rows: int, longest: int = 6) -> Tensor:
    random = np.random.default_rng(0)
    result = torch.full((rows, longest), PAD)
    for row in result:
        length = int(random.integers(1, longest + 1))
        row[:length] = torch.from_numpy(random.integers(END + 1, VOCABULARY, length))
    return result


def nothing(rows: int, longest: int) -> Tensor:
    return torch.full((rows, longest), PAD)


def likelihood(net: Translator, source: Tensor, target: list[int]) -> float:
    before = torch.tensor([[START, *target[:-1]]])
    scores = functional.log_softmax(net(source, before), 2)[0]
    return sum(float(scores[i, subword]) for i, subword in enumerate(target))


def every_target(longest: int) -> list[list[int]]:
    texts = range(END + 1, VOCABULARY)
    return [[*text, END] for n in range(longest) for text in product(texts, repeat=n)]


def test_a_wide_beam_finds_the_best_of_all() -> None:
    net, longest = network(), 3
    graph = TranslationGraph(net, beams=64, longest=longest)
    for source in sources(4).split(1):
        tokens, score, _ = graph(source, nothing(1, longest))
        best = max(every_target(longest), key=lambda t: likelihood(net, source, t) / len(t))
        found = [subword for subword in tokens[0].tolist() if subword != PAD]
        assert found == best
        assert math.isclose(score.item(), likelihood(net, source, best) / len(best), abs_tol=1e-5)


def test_one_beam_takes_the_likeliest_at_each_step() -> None:
    net = network()
    source = sources(1)
    tokens, _, _ = TranslationGraph(net, beams=1, longest=5)(source, nothing(1, 5))
    greedy: list[int] = []
    while len(greedy) < 5 and greedy[-1:] != [END]:
        logits = net(source, torch.tensor([[START, *greedy]]))[0, -1]
        greedy.append(int(logits[END:].argmax()) + END)
    assert [subword for subword in tokens[0].tolist() if subword != PAD] == greedy


@pytest.mark.parametrize("beams", [1, 3])
def test_rows_do_not_depend_on_each_other(beams: int) -> None:
    graph, many = TranslationGraph(network(), beams=beams, longest=7), sources(9)
    tokens, score, _ = graph(many, nothing(9, 7))
    for i, source in enumerate(many.split(1)):
        alone, its_score, _ = graph(source, nothing(1, 7))
        assert torch.equal(alone[0], tokens[i])
        torch.testing.assert_close(its_score[0], score[i])


def test_a_given_target_is_told_how_likely_it_is() -> None:
    net, source = network(), sources(2)
    targets = [[5, END], [6, 7, 4, END]]
    padded = torch.tensor([[*t, *[PAD] * (6 - len(t))] for t in targets])
    _, _, found = TranslationGraph(net, beams=2, longest=6)(source, padded)
    expected = [likelihood(net, one, t) for one, t in zip(source.split(1), targets, strict=True)]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_target_that_is_not_known_costs_nothing() -> None:
    assert TranslationGraph(network(), beams=2, longest=6)(sources(2), nothing(2, 6))[2].tolist() == [0, 0]

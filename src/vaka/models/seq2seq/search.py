"""Beam search as a script, so that it becomes a loop of the ONNX graph.

A script sees no globals and, while a graph is traced, no modules: so all is functions, which weights come to.

n: rows, k: hypotheses of each row, s: length of the source, v: vocabulary, w: width.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vaka.models.seq2seq.net import Memory, embedded


class Weights(NamedTuple):
    """Those of the decoder, each a matrix and its bias; an LSTM layer's is for its input beside its state."""

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    mix: Tensor
    mix_bias: Tensor
    words: Tensor
    words_bias: Tensor


class Limits(NamedTuple):
    """How wide and how far a search goes, and the subwords that it must know."""

    beams: int
    longest: int
    pad: int
    start: int
    end: int


class Beam(NamedTuple):
    """Hypotheses: subwords int64 [n k, longest]; total log-probabilities, lengths and ends, each [n, k]."""

    tokens: Tensor
    totals: Tensor
    lengths: Tensor
    complete: Tensor


def cell(x: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM layer."""
    i, f, g, o = functional.linear(torch.cat([x, h], 1), weight, bias).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def step(last: Tensor, state: Tensor, memory: Memory, weights: Weights) -> tuple[Tensor, Tensor]:
    """Log-probabilities [n k, v] of the next subword and the new state [n k, 4 w], from the last [n k]."""
    h1, c1, h2, c2 = state.chunk(4, 1)
    h1, c1 = cell(embedded(last, weights.words), h1, c1, weights.first, weights.first_bias)
    query = h1.reshape(memory.keys.size(0), -1, h1.size(1))
    scores = torch.bmm(query, memory.keys.transpose(1, 2)) + memory.bias
    found = torch.bmm(torch.softmax(scores, 2), memory.values).reshape(-1, h1.size(1))
    h2, c2 = cell(torch.cat([h1, found], 1), h2, c2, weights.second, weights.second_bias)
    output = torch.tanh(functional.linear(torch.cat([h2, found], 1), weights.mix, weights.mix_bias))
    logits = functional.linear(output, weights.words, weights.words_bias)
    return functional.log_softmax(logits, 1), torch.cat([h1, c1, h2, c2], 1)


def begin(n: int, limits: Limits) -> Beam:
    """One empty hypothesis for each row, in the place of k."""
    never = -1e9  # finite, for infinity times zero would be no number
    k = limits.beams
    first = torch.arange(k).unsqueeze(0) == 0
    return Beam(
        torch.full((n * k, limits.longest), limits.pad, dtype=torch.long),
        torch.where(first, 0.0, never).expand(n, -1),
        torch.zeros((n, k)),
        torch.zeros((n, k), dtype=torch.bool),
    )


def extend(beam: Beam, scores: Tensor, place: int, limits: Limits) -> tuple[Beam, Tensor]:
    """The best hypotheses that are one subword longer, and from which of the n k each comes.

    What is complete stays as it is. A row is settled once its best complete hypothesis beats every other by
    mean log-probability: what other rows do, and for how long, does not change it.
    """
    never = -1e9
    n, k, v = beam.totals.size(0), limits.beams, scores.size(1)
    subwords = torch.arange(v).view(1, 1, v)
    texts = torch.where(subwords < limits.end, never, scores.view(n, k, v))  # no other mark than the end
    further = torch.where(beam.complete.unsqueeze(2), torch.where(subwords == limits.pad, 0.0, never), texts)
    totals, chosen = torch.topk((beam.totals.unsqueeze(2) + further).view(n, k * v), k, dim=1)
    parent = torch.div(chosen, v, rounding_mode="floor")
    last = chosen - parent * v
    origin = (torch.arange(n).unsqueeze(1) * k + parent).view(n * k)
    here = torch.arange(limits.longest).unsqueeze(0) == place
    tokens = torch.where(here, last.view(n * k, 1), beam.tokens.index_select(0, origin))
    before = beam.complete.gather(1, parent)
    lengths = beam.lengths.gather(1, parent) + (~before).to(scores.dtype)
    complete = before | (last == limits.end)
    means = totals / lengths
    best = torch.where(complete, means, never).amax(1, keepdim=True)
    settled = best >= torch.where(complete, never, means).amax(1, keepdim=True)
    return Beam(tokens, torch.where(settled & ~complete, never, totals), lengths, complete), origin


def search(memory: Memory, weights: Weights, limits: Limits) -> tuple[Tensor, Tensor]:
    """For each row the complete hypothesis of the best mean log-probability; at the limit, any.

    Gives its subwords int64 [n, longest], padded, and that mean [n].
    """
    n, k = memory.keys.size(0), limits.beams
    beam = begin(n, limits)
    state = memory.start.unsqueeze(1).expand(-1, k, -1).reshape(n * k, -1)
    last = torch.full((n * k,), limits.start, dtype=torch.long)
    place, going = 0, True
    while going:
        scores, moved = step(last, state, memory, weights)
        beam, origin = extend(beam, scores, place, limits)
        state = moved.index_select(0, origin)
        last = beam.tokens[:, place]
        place += 1
        going = place < limits.longest and bool((~beam.complete & (beam.totals > -1e8)).any())
    means = beam.totals / beam.lengths
    winner = (means - torch.where(beam.complete, 0.0, 1e6)).argmax(1, keepdim=True)
    rows = (torch.arange(n).unsqueeze(1) * k + winner).view(n)
    return beam.tokens.index_select(0, rows), means.gather(1, winner).view(n)

"""What is published: a translation, and the likelihood of one that is given, in one graph."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaka.models.seq2seq.net import Memory, Translator
from vaka.models.seq2seq.search import Limits, Weights, search
from vaka.models.seq2seq.tokens import END, PAD, START


class TranslationGraph(nn.Module):
    """From padded source int64 [n, s] and target int64 [n, t], all padding where it is unknown.

    Gives the translation's subwords int64 [n, longest], their mean log-probability [n], and the sum of the
    log-probabilities of the target's subwords [n].
    """

    def __init__(self, network: Translator, *, beams: int, longest: int) -> None:
        super().__init__()
        self.network = network
        self._beams = beams
        self._longest = longest
        with warnings.catch_warnings():
            # Deprecated like the exporter that traces, and for as long as that is the one to use.
            warnings.simplefilter("ignore", FutureWarning)
            self._search = torch.jit.script(_search)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory = self.network.encode(cropped(source))
        tokens, score = self._search(*memory, *self._weights(), self._beams, self._longest)
        target = cropped(target)
        before = functional.pad(target, (1, 0), value=START)[:, :-1]
        logits = self.network.logits(self.network.decoder(self.network.embedded(before), memory))
        own = functional.log_softmax(logits, 2).gather(2, target.unsqueeze(2)).squeeze(2)
        return tokens, score, (own * (target != PAD)).sum(1)

    def _weights(self) -> Weights:
        decoder = self.network.decoder
        (first, first_bias), (second, second_bias) = map(joined, (decoder.first, decoder.second))
        words, bias = self.network.words, self.network.bias
        return Weights(
            first, first_bias, second, second_bias, decoder.mix.weight, decoder.mix.bias, words, bias
        )


def joined(layer: nn.LSTM) -> tuple[Tensor, Tensor]:
    """Matrix [4 w, input + w] and bias [4 w] of an LSTM layer."""
    w_in, w_state, b_in, b_state = layer.parameters()
    return torch.cat([w_in, w_state], 1), b_in + b_state


def _search(
    keys: Tensor,
    values: Tensor,
    bias: Tensor,
    start: Tensor,
    first: Tensor,
    first_bias: Tensor,
    second: Tensor,
    second_bias: Tensor,
    mix: Tensor,
    mix_bias: Tensor,
    words: Tensor,
    words_bias: Tensor,
    beams: int,
    longest: int,
    marks: tuple[int, int, int] = (PAD, START, END),
) -> tuple[Tensor, Tensor]:
    """The search for a caller that is traced: that makes plain tuples of named ones."""
    weights = Weights(first, first_bias, second, second_bias, mix, mix_bias, words, words_bias)
    limits = Limits(beams, longest, marks[0], marks[1], marks[2])
    return search(Memory(keys, values, bias, start), weights, limits)


def cropped(rows: Tensor) -> Tensor:
    """Rows int64 [n, length] without the columns at the end that are padding in all of them, but for one."""
    longest = (rows != PAD).sum(1).amax().clamp(min=1)
    return rows[:, :longest]

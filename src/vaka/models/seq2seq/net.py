"""An LSTM encoder-decoder with attention.

A bidirectional LSTM reads the source. The decoder has two LSTM layers and between them Luong's global
attention with the general score (Luong, Pham and Manning 2015, "Effective Approaches to Attention-based
Neural Machine Translation"), where GNMT has its own (Wu et al. 2016): what has been attended to flows into
the second layer, which so remembers it, and training with the true target (teacher forcing) needs no loop
over time. Source and target share one vocabulary and one embedding, whose matrix gives the logits too (Press
and Wolf 2017).

n: rows, s and t: lengths of source and target, v: vocabulary, w: width.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaka.models.seq2seq.tokens import PAD

_HIDDEN = -1e4
"""A score that leaves nothing of an attention weight, in any precision."""


class Masks(NamedTuple):
    """Factors of dropout, the same for all steps of a row (Gal and Ghahramani 2016): each FP32 [n, 1, w]."""

    source: Tensor
    target: Tensor
    output: Tensor


class Memory(NamedTuple):
    """What the decoder knows of the source: keys and values [n, s, w], bias [n, 1, s], start [n, 4 w]."""

    keys: Tensor
    values: Tensor
    bias: Tensor
    start: Tensor


def lstm(width: int, state: int) -> nn.LSTM:
    """A layer that remembers to begin with: forget gates open by one (Jozefowicz et al. 2015)."""
    layer = nn.LSTM(width, state, batch_first=True)
    with torch.no_grad():
        layer.get_parameter("bias_ih_l0")[state : 2 * state] += 1
    return layer


def embedded(subwords: Tensor, words: Tensor) -> Tensor:
    """Rows of the matrix [v, w] at the scale of one that is for input alone (Vaswani et al. 2017)."""
    return functional.embedding(subwords, words) * math.sqrt(words.size(1))


class Encoder(nn.Module):
    """Reads embedded sources [n, s, w] forth and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.forth, self.back = lstm(width, width // 2), lstm(width, width // 2)
        self.key = nn.Linear(width, width, bias=False)
        self.start = nn.Linear(width, 4 * width)

    def forward(self, embedded: Tensor, present: Tensor) -> Memory:
        """Padding stands at the end of rows; `present` [n, s] is false there."""
        order = reversed_order(present)
        forth, _ = self.forth(embedded)
        back, _ = self.back(turned(embedded, order))
        values = torch.cat([forth, turned(back, order)], 2)
        count = present.sum(1, keepdim=True).clamp(min=1)
        mean = (values * present.unsqueeze(2)).sum(1) / count
        bias = (~present).to(values.dtype).unsqueeze(1) * _HIDDEN
        return Memory(self.key(values), values, bias, torch.tanh(self.start(mean)))


def reversed_order(present: Tensor) -> Tensor:
    """Index int64 [n, s] that turns each row around and leaves its padding where it is."""
    place = torch.arange(present.shape[1], device=present.device).unsqueeze(0)
    turned_place = present.sum(1, keepdim=True) - 1 - place
    return torch.where(present, turned_place, place)


def turned(values: Tensor, order: Tensor) -> Tensor:
    """Steps of [n, s, w] in another order [n, s]."""
    return values.gather(1, order.unsqueeze(2).expand(-1, -1, values.shape[2]))


class Decoder(nn.Module):
    """Two LSTM layers with attention between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = lstm(width, width), lstm(2 * width, width)
        self.mix = nn.Linear(2 * width, width)

    def forward(self, embedded: Tensor, memory: Memory) -> Tensor:
        """Output [n, t, w] for the embedded true target before each step [n, t, w]."""
        first_h, first_c, second_h, second_c = memory.start.unsqueeze(0).chunk(4, 2)
        query, _ = self.first(embedded, (first_h.contiguous(), first_c.contiguous()))
        found = attend(query, memory.keys, memory.values, memory.bias)
        inner = torch.cat([query, found], 2)
        outer, _ = self.second(inner, (second_h.contiguous(), second_c.contiguous()))
        return torch.tanh(self.mix(torch.cat([outer, found], 2)))


def attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """What each query [n, t, w] finds in the values [n, s, w]."""
    scores = torch.bmm(query, keys.transpose(1, 2)) + bias
    return torch.bmm(torch.softmax(scores, 2), values)


class Translator(nn.Module):
    """From source and target so far to the logits of the target's next subwords."""

    def __init__(self, *, vocabulary: int, width: int) -> None:
        super().__init__()
        # Weights of its own and not those of an inner module, which a sharded network would hold together
        # only while that module computes.
        self.words = nn.Parameter(torch.randn(vocabulary, width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.encoder = Encoder(width)
        self.decoder = Decoder(width)

    def forward(self, source: Tensor, target: Tensor, masks: Masks | None = None) -> Tensor:
        """Logits FP32 [n, t, v] for int64 [n, s] and [n, t]; the target begins with its start mark."""
        embedded = self.embedded(target)
        memory = self.encode(source, masks)
        output = self.decoder(embedded if masks is None else embedded * masks.target, memory)
        return self.logits(output if masks is None else output * masks.output)

    def encode(self, source: Tensor, masks: Masks | None = None) -> Memory:
        embedded = self.embedded(source)
        memory: Memory = self.encoder(embedded if masks is None else embedded * masks.source, source != PAD)
        return memory

    def embedded(self, subwords: Tensor) -> Tensor:
        return embedded(subwords, self.words)

    def logits(self, output: Tensor) -> Tensor:
        return functional.linear(output, self.words, self.bias)

"""A training run of the translator: which pairs come at which step, the loss, the measures."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vaka.api.architectures.seq2seq import MEASURE, Seq2Seq
from vaka.artifacts.manifest import Signature
from vaka.artifacts.manifest import Tensor as TensorSpec
from vaka.artifacts.runtime import Predict
from vaka.data.text_pairs import Pairs, TextPairs
from vaka.models.architecture import Graph, Inputs, Metrics, Part
from vaka.models.order import mixed
from vaka.models.seq2seq import evaluation
from vaka.models.seq2seq.batches import Batches, padded
from vaka.models.seq2seq.graph import TranslationGraph
from vaka.models.seq2seq.model import LIKELIHOOD, SCORE, SOURCE, TARGET, TRANSLATION, Coder, Limits
from vaka.models.seq2seq.net import Masks, Translator
from vaka.models.seq2seq.tokens import END, PAD, START
from vaka.models.seq2seq.vocabulary import FILE, Vocabulary

VALIDATION_BATCH = 64
Rows = list[list[int]]


class TranslationLearner:
    """See `vaka.models.architecture.Learner`."""

    measure = MEASURE

    def __init__(self, data: TextPairs, hyper: Seq2Seq, device: str) -> None:
        self.data = data
        self._hyper = hyper
        self._device = device
        vocabulary = Vocabulary.learned((*data.train.sources, *data.train.targets), hyper.vocabulary)
        self._train, self._validation = (
            _encoded(vocabulary, pairs) for pairs in (data.train, data.validation)
        )
        self.coder = Coder(vocabulary, Limits.of(*self._train, characters=data.most_characters))
        lengths = [len(source) + len(target) for source, target in zip(*self._train, strict=True)]
        self._batches = Batches(lengths, hyper.batch_size, hyper.seed)
        self._subwords_per_step = sum(map(len, self._train[1])) / len(data.train) * self._batches.size
        self._random = Generator(device)
        self.samples_per_step, self.steps_per_epoch = self._batches.size, self._batches.count
        torch.manual_seed(hyper.seed)
        self.network: nn.Module = Translator(vocabulary=len(vocabulary), width=hyper.width).to(device)
        self.replica: nn.Module = self.network
        self.part = Part()
        self.pieces = hyper.accumulate_steps

    def loss(self, step: int, piece: int = 0) -> Tensor:
        """Cross-entropy with smoothed labels (Szegedy et al. 2016), in nats per subword.

        Of an average batch: so a subword counts the same in a batch of long texts and in one of short ones.
        """
        chosen = self._batches.of(step)
        own = self.part.slice(self.samples_per_step, piece, self.pieces)
        sources, targets = ([rows[i] for i in chosen[own]] for rows in self._train)
        logits, after = self._forward(self.replica, sources, targets, self._masks(step, own))
        return _cross_entropy(logits, after, self._hyper.label_smoothing) / self._subwords_per_step

    @torch.no_grad()
    def validate(self, network: nn.Module) -> Metrics:
        """Loss (nats per subword) and accuracy of the held-out targets, each subword after the true ones."""
        sources, targets = self._validation
        own = range(len(sources))[self.part.slice(len(sources))]
        found = torch.zeros(2, dtype=torch.float64, device=self._device)
        for start in range(0, self.part.most(len(sources)), VALIDATION_BATCH):
            # A round without a pair goes over one that counts nothing.
            chosen = own[start : start + VALIDATION_BATCH]
            rows = [sources[i] for i in chosen] or sources[:1], [targets[i] for i in chosen] or [[]]
            logits, after = self._forward(network, *rows)
            right = (logits.argmax(2) == after) & (after != PAD)
            found += torch.stack([_cross_entropy(logits, after), right.sum()])
        loss, right = (self.part.total(found) / sum(map(len, targets))).tolist()
        return {"loss": loss, "subwordAccuracy": right}

    def graph(self, network: nn.Module) -> Graph:
        limits = self.coder.limits
        assert isinstance(network, Translator)
        published = TranslationGraph(network.cpu().eval(), beams=self._hyper.beams, longest=limits.target)
        example = self.coder.inputs(*((rows * 2)[:2] for rows in self._train))
        return Graph(
            module=published,
            example=tuple(torch.from_numpy(example[name]) for name in (SOURCE, TARGET)),
            signature=_signature(limits),
            labels=[],
            options=limits.options(),
            files={FILE: self.coder.vocabulary.model},
        )

    def test(self, predict: Predict) -> Metrics:
        return evaluation.test(predict, self.coder, self.data)

    def samples(self) -> list[Inputs]:
        return evaluation.samples(self.coder, self.data)

    def _forward(
        self, network: nn.Module, sources: Rows, targets: Rows, masks: Masks | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits [n, t, v] and the subwords [n, t] that they are to foretell."""
        source, after = (torch.from_numpy(padded(rows)).to(self._device) for rows in (sources, targets))
        before = functional.pad(after, (1, 0), value=START)[:, :-1]
        return network(source, before, masks), after

    def _masks(self, step: int, own: slice) -> Masks | None:
        """Drawn for the whole batch in every process, so that they do not depend on how many there are."""
        rate = self._hyper.dropout
        if not rate:
            return None
        self._random.manual_seed(mixed(self._hyper.seed, step))
        size = (3, self.samples_per_step, 1, self._hyper.width)
        kept = torch.rand(size, generator=self._random, device=self._device) >= rate
        return Masks(*(kept[:, own].float() / (1 - rate)))


def _encoded(vocabulary: Vocabulary, pairs: Pairs) -> tuple[Rows, Rows]:
    """Subwords of sources and of targets, these with their END."""
    encode = vocabulary.encode
    return [encode(text) for text in pairs.sources], [[*encode(text), END] for text in pairs.targets]


def _cross_entropy(logits: Tensor, after: Tensor, smoothing: float = 0.0) -> Tensor:
    """Summed over all subwords, in nats; padding counts nothing."""
    return functional.cross_entropy(
        logits.flatten(0, 1), after.flatten(), ignore_index=PAD, label_smoothing=smoothing, reduction="sum"
    )


def _signature(limits: Limits) -> Signature:
    return Signature(
        inputs=[
            TensorSpec(name=SOURCE, datatype="INT64", shape=[-1, limits.source]),
            TensorSpec(name=TARGET, datatype="INT64", shape=[-1, limits.target]),
        ],
        outputs=[
            TensorSpec(name=TRANSLATION, datatype="INT64", shape=[-1, limits.target]),
            TensorSpec(name=SCORE, datatype="FP32", shape=[-1]),
            TensorSpec(name=LIKELIHOOD, datatype="FP32", shape=[-1]),
        ],
    )

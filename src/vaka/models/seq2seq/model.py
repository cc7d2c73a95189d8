"""What stands between texts and a published graph: the vocabulary, and how long texts may be."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from vaka.artifacts.manifest import Manifest
from vaka.artifacts.runtime import Predict
from vaka.data.text_pairs import Pairs
from vaka.models.architecture import Inputs
from vaka.models.seq2seq.batches import padded
from vaka.models.seq2seq.tokens import END, PAD
from vaka.models.seq2seq.vocabulary import FILE, Vocabulary

SOURCE, TARGET = "source", "target"
TRANSLATION, SCORE, LIKELIHOOD = "translation", "score", "targetLogProbability"
BATCH = 32
_SPARE = 1.25
_LEAST = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long texts may be: sources and targets in subwords, sources in characters too."""

    source: int
    target: int
    characters: int

    @classmethod
    def of(
        cls, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, characters: int
    ) -> Self:
        """A quarter more than the longest that are trained on, for nothing much longer is translated well."""
        source, target = (max(_LEAST, math.ceil(_SPARE * max(map(len, rows)))) for rows in (sources, targets))
        return cls(source=source, target=target, characters=characters)

    @classmethod
    def told(cls, options: dict[str, Any]) -> Self:
        """As a manifest's options have them."""
        return cls(**{name: int(options[f"{name}Limit"]) for name in ("source", "target", "characters")})

    def options(self) -> dict[str, Any]:
        return {f"{name}Limit": value for name, value in asdict(self).items()}


class Losses(NamedTuple):
    """In nats, of how many subwords."""

    total: float
    subwords: int


@dataclass(frozen=True)
class Coder:
    """Texts to what the graph takes, and what it gives to texts."""

    vocabulary: Vocabulary
    limits: Limits

    @classmethod
    def of(cls, manifest: Manifest, folder: Path) -> Self:
        """That of a published model."""
        return cls(Vocabulary((folder / FILE).read_bytes()), Limits.told(manifest.options))

    def inputs(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Inputs:
        """Of the subwords of sources and of targets; of a target that is not known, there are none."""
        return {SOURCE: padded(sources, self.limits.source), TARGET: padded(targets, self.limits.target)}

    def fits(self, source: Sequence[int]) -> bool:
        return len(source) <= self.limits.source

    def target(self, text: str) -> list[int]:
        """Subwords of a target with their END; none where it is beyond the limit."""
        subwords = [*self.vocabulary.encode(text), END]
        return subwords if len(subwords) <= self.limits.target else []

    def batches(self, pairs: Pairs) -> Iterator[tuple[list[int], Inputs]]:
        """Numbers of pairs with what the graph takes of them; those of about the same length together."""
        sources = [self.vocabulary.encode(text) for text in pairs.sources]
        order = sorted((i for i, row in enumerate(sources) if self.fits(row)), key=lambda i: len(sources[i]))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            targets = [self.target(pairs.targets[i]) for i in chosen]
            yield chosen, self.inputs([sources[i] for i in chosen], targets)

    def translated(self, predict: Predict, pairs: Pairs) -> tuple[list[str], Losses]:
        """The translations of the sources, "" for those beyond the limit, and the losses of the targets."""
        translations = [""] * len(pairs)
        total, count = 0.0, 0
        for chosen, given in self.batches(pairs):
            found = predict(given)
            for index, row in zip(chosen, found[TRANSLATION], strict=True):
                translations[index] = self.vocabulary.decode(row.tolist())
            total -= float(found[LIKELIHOOD].sum())
            count += int((given[TARGET] != PAD).sum())
        return translations, Losses(total, count)

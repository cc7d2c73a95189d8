"""The card of a translator: what it makes of texts that it has never seen, and of those it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaka.artifacts.runtime import Predict
from vaka.data.text_pairs import Pairs
from vaka.models.card import Card, Section, Table

if TYPE_CHECKING:
    from vaka.models.seq2seq.translation_learner import TranslationLearner

SHOWN = 8
COLUMNS = ("source", "wanted", "translation")


def card(learner: TranslationLearner, predict: Predict) -> Card:
    """See `vaka.models.card.card_of`."""

    def section(title: str, text: str, pairs: Pairs) -> Section:
        chosen = pairs.first(SHOWN)
        found, _ = learner.coder.translated(predict, chosen)
        rows = [[*pair, translation] for pair, translation in zip(chosen.pairs(), found, strict=True)]
        return Section(title=title, text=text, table=Table(columns=COLUMNS, rows=rows))

    data = learner.data
    held_out = f"The first of {len(data.validation):,} pairs that were held out."
    seen = f"The first of {len(data.train):,} pairs that it was trained on, which it may only remember."
    return Card(
        sections=[
            section("Translations of unseen texts", held_out, data.validation),
            section("Translations of texts it was trained on", seen, data.train),
        ]
    )

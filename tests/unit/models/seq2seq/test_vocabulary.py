"""A vocabulary is decided by its texts, and gives every one of them back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from vaka.data.text_pairs import clean
from vaka.models.seq2seq.tokens import END, PAD, START, UNKNOWN
from vaka.models.seq2seq.vocabulary import Vocabulary

TEXTS = ["'E ti'amanara'a to te tā'āto'ara'a", "Jeder hat das Recht auf Bildung.", "Fach- und Übung"] * 3

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2581")
"""Without the sign that sentencepiece writes for a space."""
LINE = st.text(CHARACTERS, max_size=20).map(clean)


def test_the_same_texts_give_the_same_bytes() -> None:
    assert Vocabulary.learned(TEXTS, 80).model == Vocabulary.learned(TEXTS, 80).model


@settings(max_examples=25, deadline=None)
@given(st.lists(LINE, min_size=1))
def test_texts_that_it_was_learned_from_come_back(texts: list[str]) -> None:
    if not any(texts):
        return
    vocabulary = Vocabulary.learned(texts, 16)
    for text in texts:
        subwords = vocabulary.encode(text)
        assert vocabulary.decode([*subwords, END, PAD, PAD]) == text
        assert not {PAD, UNKNOWN, START, END} & set(subwords)


def test_a_character_that_was_never_seen_is_unknown() -> None:
    assert UNKNOWN in Vocabulary.learned(TEXTS, 80).encode("字")


def test_what_comes_after_the_end_is_no_text() -> None:
    vocabulary = Vocabulary.learned(TEXTS, 80)
    first, second = vocabulary.encode("Recht"), vocabulary.encode("Bildung")
    assert vocabulary.decode([*first, END, *second]) == "Recht"


def test_there_is_a_subword_for_each_character_however_few_are_asked_for() -> None:
    assert len(Vocabulary.learned(TEXTS, 16)) > len(set("".join(TEXTS)))

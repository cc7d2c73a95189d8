"""Text pairs as a TrainingJob or an evaluation names them."""

from pathlib import Path

from vaka.api.architectures import options
from vaka.api.architectures.seq2seq import PairOptions
from vaka.api.dataset import DatasetSpec
from vaka.data import text_pairs
from vaka.data.pair_tables import Columns
from vaka.data.text_pairs import TextPairs, TextParts


def parts(source: Path, format: str, given: PairOptions, scratch: Path) -> TextParts:  # noqa: A002
    """All splits."""
    columns = Columns(given.source_column, given.target_column)
    most = given.max_characters
    return text_pairs.read(source, format=format, columns=columns, most_characters=most, scratch=scratch)


def training_pairs(source: Path, spec: DatasetSpec, scratch: Path) -> TextPairs:
    """Those to train on, and those that are held out."""
    given: PairOptions = options("seq2seq", spec.options)
    return text_pairs.divide(
        parts(source, spec.format, given, scratch),
        source,
        validation_fraction=spec.validation_fraction,
        seed=spec.seed,
        most_characters=given.max_characters,
    )

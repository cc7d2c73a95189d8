"""LSTM encoder-decoder with attention, for translation."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from vaka.api.architectures.base import Fraction, Hyperparameters, Measure, Positive


class Seq2Seq(Hyperparameters, frozen=True):
    """Settings of the translator."""

    epochs: Positive = 30
    batch_size: Positive = 32
    learning_rate: Annotated[float, Meta(gt=0, le=10)] = 0.005
    optimizer: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.01
    max_grad_norm: Annotated[float, Meta(gt=0)] | None = 1.0
    label_smoothing: Fraction = 0.1
    dropout: Fraction = 0.2
    width: Annotated[int, Meta(ge=8, le=2048, multiple_of=2)] = 128
    """Numbers that stand for a subword, and in each layer's state."""
    vocabulary: Annotated[int, Meta(ge=16, le=64_000)] = 2000
    """How many subwords at most; there is one for each character at least."""
    beams: Annotated[int, Meta(ge=1, le=32)] = 4
    """How many hypotheses are followed at once when translating."""


class PairOptions(msgspec.Struct, rename="camel", kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is to be known of text pairs."""

    source_column: str | None = None
    """None: the one named `source` or, in a table without names, the first."""
    target_column: str | None = None
    """None: the one named `target`, or the second."""
    max_characters: Positive = 1000
    """Pairs with a longer text are dropped, and the server refuses one."""


HYPERPARAMETERS = Seq2Seq
OPTIONS = PairOptions
FORMATS = ("tsv", "parquet")
MEASURE = Measure("loss", "minimize")

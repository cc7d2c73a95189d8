"""Time-series forecasting: hyper-parameters, formats and what `spec.dataset.options` may hold."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from vaka.api.architectures import base

FORMATS = ("csv", "parquet")
Steps = Annotated[int, Meta(ge=1, le=4096)]
Probability = Annotated[float, Meta(gt=0, lt=1)]
QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
FREQUENCY = r"^[0-9]{0,4}(S|T|H|D|B|W|M|Q|Y)$"
"""A number and a unit: second, minute (T), hour, day, business day, week, month, quarter or year."""


class LSTM(base.Hyperparameters, frozen=True):
    """LSTMs that read the recent past of a series and tell its next values with their quantiles."""

    epochs: base.Positive = 12
    batch_size: base.Positive = 256
    learning_rate: Annotated[float, Meta(gt=0, le=10)] = 0.004
    optimizer: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.1
    max_grad_norm: Annotated[float, Meta(gt=0)] | None = 1.0
    keep_best: bool = True
    horizon: Annotated[int, Meta(ge=1, le=512)] = 20
    """How many steps ahead are forecast."""
    context: Annotated[int, Meta(ge=8, le=4096)] | None = None
    """How many values of the past a forecast is made of; default: by the season, and what there is."""
    quantiles: Annotated[tuple[Probability, ...], Meta(min_length=1, max_length=99)] = QUANTILES
    centre: Literal["auto", "last", "linear"] = "auto"
    """Forecasts begin from the last value, or from a linear forecast; auto: as earlier data speak for."""
    members: Annotated[int, Meta(ge=1, le=20)] = 5
    """How many networks, of different seeds, answer together."""
    hidden_size: Annotated[int, Meta(ge=2, le=512)] = 16
    layers: Annotated[int, Meta(ge=1, le=4)] = 1
    dropout: base.Fraction = 0.3
    recent: Steps = 32
    """How many of the newest moves the LSTMs read; what lies before speaks by its volatility."""


class SeriesOptions(msgspec.Struct, rename="camel", kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How the table is to be understood."""

    time_column: str | None = None
    """Default: the first column that holds times."""
    time_format: str | None = None
    """As for strptime, such as %d.%m.%Y; default: ISO 8601, and what cannot be misunderstood."""
    targets: list[str] = []
    """What is forecast; default: every other column."""
    known: list[str] = []
    """Covariates that are known ahead, such as whether a day is a holiday."""
    observed: list[str] = []
    """Covariates that are known for the past only."""
    frequency: Annotated[str, Meta(pattern=FREQUENCY)] | None = None
    """Default: as the times show."""
    season: Annotated[int, Meta(ge=0, le=2048)] | None = None
    """Steps after which things repeat, 0 for none; default: found in the data."""
    gaps: Literal["auto", "fill", "skip", "refuse"] | None = None
    """Missing times: filled with the value before, or left out; auto, the default: of business days only."""
    duplicates: Literal["last", "first", "mean", "refuse"] | None = None
    """Which value counts where a time stands twice; default: last."""
    holidays: list[str] = []
    """Dates (YYYY-MM-DD) that are no business days: no forecast is for them."""
    start: str | None = None
    """Values before this time are not used."""
    end: str | None = None
    """Values after this time are not used."""
    test_fraction: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.1
    """Newest part that nothing is learned from or chosen by: the manifest's measures are of it."""


HYPERPARAMETERS = LSTM
OPTIONS = SeriesOptions
MEASURE = base.Measure("validationLoss", "minimize")

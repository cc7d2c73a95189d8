"""What is decided of a series before a network is trained: season, context, parts, centre."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaka.api.architectures.lstm import LSTM, SeriesOptions
from vaka.data.dataset import DatasetError
from vaka.data.series import Series
from vaka.models.lstm.centre import Centre, choose, find_season
from vaka.models.lstm.windows import Split, Values, Windows

LONGEST_SEASONAL = 256
PLAIN_CONTEXT = 128
FLOOR = 1e-3
"""The least volatility, as a part of the usual one."""
CLIP = 6.0
"""Spreads from its centre that a covariate may be, at most."""
LEVEL = 0.05
"""The least level, likewise: prices may come near zero, and below."""


@dataclass(frozen=True, kw_only=True)
class SeriesData:
    """A series, and what its specification says of it."""

    series: Series
    options: SeriesOptions
    source: Path
    validation_fraction: float

    @property
    def notes(self) -> tuple[str, ...]:
        return self.series.notes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the network of a series is built by."""

    windows: Windows
    split: Split
    season: int
    centres: list[Centre]
    floor: Values
    """[targets], the least volatility of moves."""
    level: Values
    """[targets], the least level that volatilities are compared with."""
    spans: Values
    """[observed + known, 2], centre and spread of the covariates."""

    @property
    def logarithmic(self) -> bool:
        return self.centres[0].logarithmic

    @property
    def moves_season(self) -> int:
        """Of what moves are measured: the season, unless the last value is every centre."""
        return 0 if all(centre.is_last for centre in self.centres) else self.season


def plan(data: SeriesData, hyper: LSTM) -> Plan:
    """By the training and validation parts of the series; DatasetError where it is too short."""
    series = data.series
    split = Split.of(len(series), data.validation_fraction, data.options.test_fraction, hyper.horizon)
    values = series.values[:, : len(series.targets)]
    earlier = values[: split.validation]
    still = (earlier == earlier[0]).all(0)
    if still.any():
        name = series.targets[int(np.argmax(still))]
        raise DatasetError(data.source, f"{name} never changes: there is nothing to forecast")
    season = data.options.season
    if season is None:
        season = find_season(earlier[:, 0], series.frequency.seasons, hyper.horizon)
    context = hyper.context or usual_context(season, hyper.horizon, split.train)
    _check(context, season, hyper.horizon, split.train, data.source)
    windows = Windows(series=series, context=context, horizon=hyper.horizon)
    spans = _spans(series.values[: split.train, len(series.targets) :])
    known = _scaled_known(windows, split.validation, spans)
    centres = choose(
        windows, split.validation, known, season, kind=hyper.centre, logs=bool((values > 0).all())
    )
    logarithmic = centres[0].logarithmic
    moves = np.diff(np.log(earlier) if logarithmic else earlier, axis=0)
    usual = np.sqrt(np.square(moves).mean(0))
    return Plan(
        windows=windows,
        split=split,
        season=season,
        centres=centres,
        floor=FLOOR * usual,
        level=np.maximum(LEVEL * np.sqrt(np.square(earlier).mean(0)), usual),
        spans=spans,
    )


def usual_context(season: int, horizon: int, length: int) -> int:
    """Three seasons of the past, or two and a little where they are long; without one half a year of days."""
    wanted = max(2 * season + 16, min(3 * season, LONGEST_SEASONAL)) if season else PLAIN_CONTEXT
    return max(min(wanted, (length - horizon) // 2), 8)


def _check(context: int, season: int, horizon: int, train: int, source: Path) -> None:
    if season and context < season + 3:
        raise DatasetError(
            source, f"repeats after {season} steps: context is {context} and must be at least {season + 3}"
        )
    if train < (needed := context + horizon + 8):
        told = f"has {max(0, train):,} values left to train on: context {context} and horizon {horizon}"
        raise DatasetError(source, f"{told} need {needed:,}: lower them")


def _spans(covariates: Values) -> Values:
    centre, spread = covariates.mean(0), covariates.std(0)
    return np.stack([centre, np.where(spread > 0, spread, 1.0)], 1)


def _scaled_known(windows: Windows, stop: int, spans: Values) -> Values:
    """Distances [n, horizon, known] of what is known ahead from what it is at each origin."""
    origins, known = windows.origins(0, stop), len(windows.series.known)
    centre, spread = spans[len(windows.series.observed) :].T
    values = windows.series.values[:, windows.series.values.shape[1] - known :]
    scaled = np.clip((values - centre) / spread, -CLIP, CLIP)
    ahead = origins[:, None] + np.arange(1, windows.horizon + 1)
    return np.asarray(scaled[ahead] - scaled[origins][:, None])

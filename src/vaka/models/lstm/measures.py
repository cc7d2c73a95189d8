"""The field's measures of forecasts, and those of forecasts that anybody could make."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

EWMA = 0.94
"""Decay of the random walk's volatility: RiskMetrics' for daily data (1996)."""
REFRESHES = 100
"""How often, at most, the quantiles of past moves are looked up anew as origins go on."""
PAST_MOVES = 4000


def pinball(truth: Values, quantiles: Values, levels: Sequence[float]) -> Values:
    """Pinball loss (Koenker and Bassett 1978) of quantiles [..., levels] for truth [...], their mean."""
    errors, level = truth[..., None] - quantiles, np.asarray(levels)
    return np.asarray(np.maximum(level * errors, (level - 1) * errors).mean(-1))


def coverage(truth: Values, quantiles: Values, levels: Sequence[float], part: float) -> Values | None:
    """Which values [...] lie in the central interval of this probability; None where it is not told."""
    ends = [round((1 - part) / 2, 6), round((1 + part) / 2, 6)]
    places = [i for end in ends for i, level in enumerate(levels) if abs(level - end) < 1e-6]
    if len(places) < 2:
        return None
    low, high = quantiles[..., places[0]], quantiles[..., places[1]]
    return np.asarray((truth >= low) & (truth <= high), np.float64)


def mase_scale(values: Values, season: int) -> Values:
    """What MASE divides by (Hyndman and Koehler 2006): mean absolute seasonal moves of values [n, t]."""
    step = max(1, season)
    moves = values[step:] - values[:-step] if len(values) > step else np.diff(values, axis=0)
    return np.asarray(np.maximum(np.abs(moves).mean(0), np.finfo(float).tiny))


def drift(values: Values, origins: NDArray[np.int64], horizon: int) -> Values:
    """The last value and the mean move so far: [n, horizon, targets]."""
    last = values[origins]
    slope = (last - values[0]) / np.maximum(origins, 1)[:, None]
    return np.asarray(last[:, None] + slope[:, None] * np.arange(1, horizon + 1)[None, :, None])


def seasonal_naive(values: Values, origins: NDArray[np.int64], horizon: int, season: int) -> Values:
    """What was a season ago: [n, horizon, targets]; without a season, the last value."""
    steps = np.arange(horizon)
    back = season - 1 - steps % season if season else np.zeros(horizon, np.int64)
    return np.asarray(values[origins[:, None] - back])


def volatility(values: Values, decay: float = EWMA) -> Values:
    """Exponentially weighted root mean square of the moves up to each of the values [n, targets]."""
    squares = np.square(np.diff(values, axis=0))
    found = np.empty_like(values)
    level = squares[: max(1, min(20, len(squares)))].mean(0)
    found[0] = level
    for place, square in enumerate(squares, start=1):
        level = decay * level + (1 - decay) * square
        found[place] = level
    return np.asarray(np.sqrt(np.maximum(found, np.finfo(float).tiny)))


def random_walk(
    values: Values, origins: NDArray[np.int64], horizon: int, levels: Sequence[float], *, scaled: bool
) -> Values:
    """Quantiles [n, horizon, targets, levels] of the random walk: the last value and moves as so far.

    Args:
        scaled: moves over their volatility then, times the volatility now (EWMA); else moves as they are.
    """
    scale = volatility(values) if scaled else np.ones_like(values)
    found = np.empty((len(origins), horizon, values.shape[1], len(levels)))
    every = max(1, -(-len(origins) // REFRESHES))
    for begin in range(0, len(origins), every):
        part = origins[begin : begin + every]
        known = _quantiles(values[: part[0] + 1], scale[: part[0] + 1], horizon, levels)
        found[begin : begin + every] = scale[part][:, None, :, None] * known
    return np.asarray(values[origins][:, None, :, None] + found)


def _quantiles(values: Values, scale: Values, horizon: int, levels: Sequence[float]) -> Values:
    """Quantiles [horizon, targets, levels] of moves over scale; where there are none yet, of shorter ones."""
    found = np.zeros((horizon, values.shape[1], len(levels)))
    for step in range(1, horizon + 1):
        if len(values) <= step:
            found[step - 1] = found[step - 2]
            continue
        moves = (values[step:] - values[:-step]) / scale[:-step]
        thin = moves[:: max(1, len(moves) // PAST_MOVES)]
        found[step - 1] = np.quantile(thin, levels, axis=0).T
    return found

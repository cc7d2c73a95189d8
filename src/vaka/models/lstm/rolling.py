"""Rolling-origin evaluation: a forecast from each step of a series, beside those that anybody could make."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.artifacts.runtime import Predict
from vaka.data.series import Series
from vaka.models.lstm import measures
from vaka.models.lstm.centre import better
from vaka.models.lstm.windows import Origins, Values, Windows, spread_out

PAST, FUTURE = "past", "future"
MEAN, QUANTILES = "mean", "quantiles"
MODEL = "model"
CHUNK = 256
MOST = 5000
"""More origins than these tell no more: they are then spread evenly."""
INTERVALS = (0.8, 0.95)
HOPELESS = 1e9


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the manifest's options say of a model."""

    context: int
    horizon: int
    quantiles: tuple[float, ...]
    season: int
    scale: Values
    """[targets], what MASE divides by."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Known":
        return cls(
            context=options["context"],
            horizon=options["horizon"],
            quantiles=tuple(options["quantiles"]),
            season=options["season"],
            scale=np.asarray(options["maseScale"]),
        )


@dataclass(frozen=True, kw_only=True)
class Rolled:
    """Errors [n, horizon, targets] of the model and of others, from the same origins."""

    origins: Origins
    horizon: int
    truth: Values
    mean: Values
    quantiles: Values
    absolute: dict[str, Values]
    """Absolute errors by who forecast: model, randomWalk, drift, seasonalNaive."""
    pinball: dict[str, Values]
    """Pinball losses: model, randomWalk, randomWalkEwma."""
    inside: dict[str, Values]
    """1 where the value lay in the interval: coverage80, coverage95."""
    scaled: Values
    """Absolute errors over MASE's scale."""

    def metrics(self, step: int | None = None) -> dict[str, float]:
        """Means over all steps, or of one step ahead (from 1)."""
        of = slice(None) if step is None else slice(step - 1, step)
        mae = {name: float(errors[:, of].mean()) for name, errors in self.absolute.items()}
        losses = {name: float(errors[:, of].mean()) for name, errors in self.pinball.items()}
        per_origin = {name: errors[:, of].mean((1, 2)) for name, errors in self.absolute.items()}
        wins = better(per_origin[MODEL], per_origin["randomWalk"], step or self.horizon)
        found = {
            "mase": float(self.scaled[:, of].mean()),
            "mae": mae[MODEL],
            "pinball": losses[MODEL],
            **{name: float(part[:, of].mean()) for name, part in self.inside.items()},
            "maeRatio": ratio(mae[MODEL], mae["randomWalk"]),
            "pinballRatio": ratio(losses[MODEL], losses["randomWalk"]),
            "pinballRatioEwma": ratio(losses[MODEL], losses["randomWalkEwma"]),
            "maeRatioDrift": ratio(mae[MODEL], mae["drift"]),
        }
        if "seasonalNaive" in mae:
            found["maeRatioSeasonalNaive"] = ratio(mae[MODEL], mae["seasonalNaive"])
        return found | {"beatsRandomWalk": float(wins)}


def ratio(own: float, other: float) -> float:
    """Of two errors; where the other has none, 1 or as good as infinite."""
    if other:
        return own / other
    return 1.0 if own == 0 else HOPELESS


def roll(predict: Predict, known: Known, series: Series, begin: int, horizon: int | None = None) -> Rolled:
    """Forecasts from every origin whose horizon lies in the series from place `begin` on."""
    windows = Windows(series=series, context=known.context, horizon=known.horizon)
    steps = horizon or known.horizon
    shorter = Windows(series=series, context=known.context, horizon=steps)
    every = spread_out(shorter.origins(begin, len(series)), MOST)
    mean, quantiles = forecasts(predict, windows, every)
    mean, quantiles, truth = mean[:, :steps], quantiles[:, :steps], shorter.truth(every)
    values = series.values[:, : len(series.targets)]
    levels = known.quantiles
    walks = {
        name: measures.random_walk(values, every, steps, levels, scaled=scaled)
        for name, scaled in (("randomWalk", False), ("randomWalkEwma", True))
    }
    others = {"randomWalk": values[every][:, None], "drift": measures.drift(values, every, steps)}
    if known.season:
        others["seasonalNaive"] = measures.seasonal_naive(values, every, steps, known.season)
    inside = {
        f"coverage{round(part * 100)}": found
        for part in INTERVALS
        if (found := measures.coverage(truth, quantiles, levels, part)) is not None
    }
    absolute = {name: np.abs(truth - other) for name, other in ({MODEL: mean} | others).items()}
    return Rolled(
        origins=every,
        horizon=steps,
        truth=truth,
        mean=mean,
        quantiles=quantiles,
        absolute=absolute,
        pinball={
            name: measures.pinball(truth, q, levels) for name, q in ({MODEL: quantiles} | walks).items()
        },
        inside=inside,
        scaled=absolute[MODEL] / known.scale,
    )


def forecasts(predict: Predict, windows: Windows, origins: Origins) -> tuple[Values, Values]:
    """Means [n, horizon, targets] and quantiles [..., quantiles] of a published graph."""
    parts = [predict(inputs_at(windows, origins[i : i + CHUNK])) for i in range(0, len(origins), CHUNK)]
    mean, quantiles = (np.concatenate([part[name] for part in parts]) for name in (MEAN, QUANTILES))
    return mean, quantiles


def inputs_at(windows: Windows, origins: Origins) -> dict[str, NDArray[np.float64]]:
    """The graph's inputs; where the series ends before the horizon, what is known ahead is as it was last."""
    series = windows.series
    if not series.known:
        return {PAST: windows.past(origins)}
    known = series.values[:, len(series.targets) + len(series.observed) :]
    ahead = origins[:, None] + np.arange(1, windows.horizon + 1)
    return {PAST: windows.past(origins), FUTURE: known[np.minimum(ahead, len(known) - 1)]}

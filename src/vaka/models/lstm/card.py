"""The card of a forecaster: forecasts with their bands beside what came, and its measures step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaka.artifacts.runtime import Predict
from vaka.models.card import Card, Section, Table, figure, png
from vaka.models.lstm.rolling import Rolled
from vaka.models.lstm.windows import Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vaka.models.lstm.series_learner import SeriesLearner

FORECASTS = 6
PAST_SHOWN = 3
"""How many horizons of the past are drawn before a forecast."""
STEPS = (1, 2, 5, 10, 20, 50, 100)
MEASURES = ("mase", "mae", "pinball", "coverage80", "coverage95", "maeRatio", "pinballRatio")


def card(learner: SeriesLearner, predict: Predict) -> Card:
    """See `vaka.models.card.card_of`; all of it is of the part that nothing was learned from."""
    rolled = learner.rolled(predict)
    steps = sorted({step for step in STEPS if step < rolled.horizon} | {rolled.horizon})
    return Card(
        sections=[forecasts(learner, rolled), by_step(rolled, steps), beside(rolled), centre(learner)],
        details={"byStep": {str(step): rolled.metrics(step) for step in steps}},
    )


def forecasts(learner: SeriesLearner, rolled: Rolled) -> Section:
    """The first target from origins spread over the data."""
    chosen = np.unique(np.linspace(0, len(rolled.origins) - 1, FORECASTS).astype(int))
    drawn = figure(8, 5)
    grid = drawn.subplots(2, FORECASTS // 2, squeeze=False)
    for axes in grid.flat[len(chosen) :]:
        axes.axis("off")
    for axes, place in zip(grid.flat, chosen, strict=False):
        _draw(axes, learner, rolled, int(place))
    text = (
        "Forecasts of the newest part, with the widest band that is told; in black, what was and what came."
    )
    return Section(title="Sample forecasts", text=text, picture=png(drawn), file="forecasts")


def _draw(axes: Axes, learner: SeriesLearner, rolled: Rolled, place: int) -> None:
    series, origin, horizon = learner.data.series, int(rolled.origins[place]), rolled.horizon
    begin = max(0, origin + 1 - PAST_SHOWN * horizon)
    axes.plot(
        np.arange(begin - origin, horizon + 1), series.values[begin : origin + horizon + 1, 0], "k", lw=1
    )
    ahead, bands = np.arange(1, horizon + 1), rolled.quantiles[place, :, 0]
    axes.fill_between(ahead, bands[:, 0], bands[:, -1], alpha=0.25, color="tab:blue", lw=0)
    axes.fill_between(ahead, *_inner(bands), alpha=0.35, color="tab:blue", lw=0)
    axes.plot(ahead, rolled.mean[place, :, 0], color="tab:blue", lw=1.5)
    axes.set_title(str(series.times[origin])[:10], fontsize=8)


def _inner(bands: Values) -> tuple[Values, Values]:
    """The band [horizon] that holds the middle half of what is told."""
    quarter = bands.shape[1] // 4
    return bands[:, quarter], bands[:, bands.shape[1] - 1 - quarter]


def by_step(rolled: Rolled, steps: list[int]) -> Section:
    """The measures, for steps nearer and further ahead."""
    found = {step: rolled.metrics(step) for step in steps}
    names = [name for name in MEASURES if name in found[steps[0]]]
    rows: list[list[str | float]] = [
        [f"{step}", *(round(found[step][name], 4) for name in names)] for step in steps
    ]
    text = "Ratios are to the random walk: the last value, with the moves that there have been so far."
    return Section(title="Steps ahead", text=text, table=Table(columns=["step", *names], rows=rows))


def beside(rolled: Rolled) -> Section:
    """Who else forecast."""
    pinball = {name: float(losses.mean()) for name, losses in rolled.pinball.items()}
    names = dict.fromkeys([*rolled.absolute, *pinball])
    rows: list[list[str | float]] = [
        [
            name,
            round(float(rolled.absolute[name].mean()), 5) if name in rolled.absolute else "",
            round(pinball[name], 5) if name in pinball else "",
        ]
        for name in names
    ]
    wins = rolled.metrics()["beatsRandomWalk"]
    text = f"The mean forecast {'beats' if wins else 'does not beat'} the random walk by more than chance."
    return Section(
        title="Beside naive forecasts", text=text, table=Table(columns=["", "MAE", "pinball"], rows=rows)
    )


def centre(learner: SeriesLearner) -> Section:
    """What forecasts begin from, and what it was chosen by."""
    rows = [
        [name, one.name, one.season or "", "yes" if one.logarithmic else "", round(one.gain, 4)]
        for name, one in zip(learner.data.series.targets, learner.plan.centres, strict=True)
    ]
    text = "Gain is the error of the centre as a part of the last value's, on data before the newest part."
    columns = ["target", "centre", "season", "logarithms", "gain"]
    return Section(title="Centre", text=text, table=Table(columns=columns, rows=rows))

"""The centre of forecasts: the last value, unless earlier data say that a linear forecast is better.

Every candidate is linear in how far the values of the past lie from the last one, so that the one chosen is
a matrix in the published graph: zero for the last value. Where nothing beats the random walk, as with
prices, a network that is left to itself finds patterns in noise; so the burden of proof is on the pattern.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vaka.models.lstm.windows import Origins, Values, Windows, spread_out

GAIN = 0.98
"""A candidate's error must be at most this part of the last value's,"""
SIGNIFICANT = 2.5
"""and smaller by so many standard errors, over blocks that share no value."""
RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)
FOLDS = (0.4, 0.6, 0.8)
"""Ridge regressions are judged on what follows these parts of the data."""
TOGETHER = 5
"""So many of the best are averaged: which one is best is chance in part (Bates and Granger 1969),"""
CLOSE = 1.05
"""as long as their errors are no larger than the best's by more."""
MOST = 4000
"""Windows that a regression sees."""


@dataclass(frozen=True, kw_only=True)
class Centre:
    """Last value + weights [horizon, context] times distances from it + effects [horizon, known].

    Effects are of known covariates' distances from their last values. `logarithmic`: all of it of logarithms.
    """

    name: str
    weights: Values
    effects: Values
    season: int = 0
    logarithmic: bool = False
    gain: float = 1.0
    """Its error as a part of the last value's, where both were tried."""
    optimism: float = 1.0
    """How much larger its errors were on data that it was not fitted on."""

    @property
    def is_last(self) -> bool:
        return self.name == "last"


@dataclass(frozen=True)
class Problem:
    """One target's windows: distances from the last value x [n, context], y [n, horizon]; known [n, h, k]."""

    x: Values
    y: Values
    known: Values
    scale: Values
    """[n]: root mean square of each window's moves, by which distances become comparable."""
    last: Values

    def __getitem__(self, part: slice) -> "Problem":
        return Problem(self.x[part], self.y[part], self.known[part], self.scale[part], self.last[part])


def problem(windows: Windows, origins: Origins, target: int, known: Values, *, logarithmic: bool) -> Problem:
    """The windows at these origins, for one target."""
    past, truth = windows.past(origins)[..., target], windows.truth(origins)[..., target]
    if logarithmic:
        past, truth = np.log(past), np.log(truth)
    last = past[:, -1:]
    scale = np.sqrt(np.square(np.diff(past, axis=1)).mean(1))
    floor = np.median(scale) * 1e-3 + np.finfo(float).tiny
    return Problem(past - last, truth - last, known, np.maximum(scale, floor), last)


def simple(context: int, horizon: int, seasons: tuple[int, ...]) -> dict[tuple[str, int], Values]:
    """Weights of forecasts that need no fitting, by name and season."""
    steps = np.arange(1, horizon + 1)
    drift = np.zeros((horizon, context))
    drift[:, 0] = -steps / (context - 1)
    found = {("last", 0): np.zeros((horizon, context)), ("drift", 0): drift}
    for season in seasons:
        back = context - 1 - (season - 1 - (steps - 1) % season)
        repeated = np.zeros((horizon, context))
        repeated[np.arange(horizon), back] = 1
        shifted = repeated.copy()
        shifted[:, context - 1 - season] -= np.ceil(steps / season)
        found |= {("seasonal", season): repeated, ("seasonal-drift", season): shifted}
    return found


def find_season(values: Values, seasons: tuple[int, ...], horizon: int) -> int:
    """The season by which values [n] repeat so that it helps to know it, or 0."""
    fitting = [s for s in seasons if len(values) >= 3 * s + horizon]
    if not fitting:
        return 0
    context = max(fitting) + 1
    origins = spread_out(np.arange(context - 1, len(values) - horizon), 2000)
    past = values[origins[:, None] + np.arange(1 - context, 1)]
    ahead = values[origins[:, None] + np.arange(1, horizon + 1)]
    x, y = past - past[:, -1:], ahead - past[:, -1:]
    errors = {key: np.abs(y - x @ w.T).mean() for key, w in simple(context, horizon, tuple(fitting)).items()}
    plain = min(error for (_, season), error in errors.items() if not season)
    best = min(errors, key=lambda key: errors[key])
    return best[1] if errors[best] < 0.95 * plain else 0


def choose(windows: Windows, stop: int, known: Values, season: int, *, kind: str, logs: bool) -> list[Centre]:
    """The centre for each target by the values before `stop`: all of values, or all of logarithms.

    Args:
        known: what is known ahead, as distances from its last values [n, horizon, k], of each origin.
        kind: auto; or last, or linear, whatever the data say.
        logs: whether logarithms may be tried: every value is positive.
    """
    context, targets = windows.context, range(len(windows.series.targets))
    none = np.zeros((windows.horizon, known.shape[2]))
    if kind == "last":
        return [
            Centre(name="last", weights=np.zeros((windows.horizon, context)), effects=none) for _ in targets
        ]
    spaces = [
        [_choose_one(windows, stop, target, known, season, kind, logarithmic=space) for target in targets]
        for space in ((False, True) if logs else (False,))
    ]
    gains = [float(np.mean([centre.gain for centre in space])) for space in spaces]
    return spaces[-1] if gains[-1] < GAIN * gains[0] else spaces[0]


def _choose_one(
    windows: Windows, stop: int, target: int, known: Values, season: int, kind: str, *, logarithmic: bool
) -> Centre:
    tried = _candidates(windows, windows.origins(0, stop), target, known, season, logarithmic=logarithmic)
    last, *others = tried
    if kind == "auto":
        others = [c for c in others if c[1].mean() <= GAIN * last[1].mean()]
        others = [c for c in others if better(c[1], last[1], windows.horizon)]
    if not others:
        return last[0]
    first, *more = sorted(others, key=lambda c: float(c[1].mean()))[:TOGETHER]
    best = [first, *(c for c in more if c[1].mean() <= CLOSE * first[1].mean())]
    return replace(
        best[0][0],
        weights=np.mean([centre.weights for centre, _ in best], 0),
        effects=np.mean([centre.effects for centre, _ in best], 0),
        optimism=float(np.mean([centre.optimism for centre, _ in best])),
        gain=ratio(best[0][1], last[1]),
    )


def ratio(errors: Values, others: Values) -> float:
    """Of two mean errors; 1 where the other has none, as of a series that stands still."""
    return float(errors.mean() / others.mean()) if others.any() else 1.0


def better(errors: Values, others: Values, horizon: int) -> bool:
    """Whether errors [n] are smaller than others by more than chance, as Diebold and Mariano (1995) ask.

    Errors of forecasts that overlap are alike, so blocks as long as the horizon are compared; one forecast
    proves nothing.
    """
    gains = others - errors
    if len(gains) < 2:
        return False
    blocks = [block.mean() for block in np.array_split(gains, max(2, len(gains) // horizon))]
    error = np.std(blocks, ddof=1) / np.sqrt(len(blocks))
    return bool(np.mean(blocks) > SIGNIFICANT * error)


def _candidates(
    windows: Windows, origins: Origins, target: int, known: Values, season: int, *, logarithmic: bool
) -> list[tuple[Centre, Values]]:
    """Every candidate with its mean absolute errors [n] over the horizon, in the target's own unit."""
    kept = spread_out(np.arange(len(origins)), MOST)
    given = problem(windows, origins[kept], target, known[kept], logarithmic=logarithmic)
    begin = int(FOLDS[0] * len(kept))
    judged = given[slice(begin, None)]
    none = np.zeros((windows.horizon, known.shape[2]))
    found = []
    for (name, length), weights in simple(
        windows.context, windows.horizon, (season,) if season else ()
    ).items():
        centre = Centre(name=name, weights=weights, effects=none, season=length, logarithmic=logarithmic)
        found.append((centre, errors_of(judged, judged.x @ weights.T, logarithmic)))
    gap = max(1, round(windows.horizon * len(kept) / len(origins)))  # nothing of a fold's future is fitted on
    bases = _bases(windows.context, windows.horizon, season)
    forecasts = _folds(given, begin, gap, bases)
    for place, (weights, effects) in enumerate(fits(given, bases)):
        errors = errors_of(judged, forecasts[place], logarithmic)
        fitted = errors_of(judged, linear(judged, weights, effects), logarithmic)
        centre = Centre(
            name="linear",
            weights=weights,
            effects=effects,
            season=season,
            logarithmic=logarithmic,
            optimism=max(1.0, ratio(errors, fitted)),
        )
        found.append((centre, errors))
    return found


def _bases(context: int, horizon: int, season: int) -> list[Values]:
    """What regressions are shrunk towards: the last value, and what a season says, drifting or not."""
    found = simple(context, horizon, (season,) if season else ())
    last = found["last", 0]
    if not season:
        return [last]
    seasonal, drifting = found["seasonal", season], found["seasonal-drift", season]
    return [last, seasonal, (seasonal + drifting) / 2, drifting, mean_season(context, horizon, season)]


def mean_season(context: int, horizon: int, season: int) -> Values:
    """Weights of the mean of all seasons of the past, raised from their level to that of the last one."""
    steps, seasons = np.arange(1, horizon + 1), (context - 1) // season
    weights = np.zeros((horizon, context))
    for back in range(1, seasons + 1):
        place = context - 1 + steps - (back + (steps - 1) // season) * season
        np.add.at(weights, (steps - 1, np.maximum(place, 0)), 1 / seasons)
    weights[:, context - season :] += 1 / season
    weights[:, context - seasons * season :] -= 1 / (seasons * season)
    return weights


def linear(given: Problem, weights: Values, effects: Values) -> Values:
    """Forecast distances [n, horizon]."""
    return np.asarray(given.x @ weights.T + np.einsum("hk,nhk->nh", effects, given.known))


def errors_of(given: Problem, forecast: Values, logarithmic: bool) -> Values:
    """Mean absolute errors [n] of forecast distances [n, horizon]."""
    if not logarithmic:
        return np.asarray(np.abs(given.y - forecast).mean(1))
    return np.asarray(np.abs(np.exp(given.last + given.y) - np.exp(given.last + forecast)).mean(1))


def _folds(given: Problem, begin: int, gap: int, bases: list[Values]) -> list[Values]:
    """Of each fit the forecasts [n, horizon] of all after `begin`, each fold's by what was before it."""
    ends = [begin, *(int(fold * len(given.x)) for fold in FOLDS[1:]), len(given.x)]
    folds: list[list[Values]] = []
    for start, stop in pairwise(ends):
        earlier, later = given[slice(0, max(1, start - gap))], given[slice(start, stop)]
        found = fits(earlier, bases)
        folds.append([linear(later, *one) for one in found])
    return [np.concatenate(parts) for parts in zip(*folds, strict=True)]


def fits(given: Problem, bases: list[Values]) -> list[tuple[Values, Values]]:
    """Ridge regressions towards each base, by each penalty: weights and effects as a `Centre` has them.

    Of distances over the scale of their window, so that calm and wild times speak alike. What is known of
    the step ahead itself stands beside the distances, so with it each step has a system of its own.
    """
    x, y = given.x / given.scale[:, None], given.y / given.scale[:, None]
    left = [y - x @ base.T for base in bases]
    if not given.known.shape[2]:
        solved = _ridge(x, np.stack(left, 1).reshape(len(x), -1))
    else:
        known = given.known / given.scale[:, None, None]
        steps = [
            _ridge(np.concatenate([x, known[:, step]], 1), np.stack([part[:, step] for part in left], 1))
            for step in range(y.shape[1])
        ]
        solved = np.stack(steps, 3).reshape(len(RIDGES), -1, len(bases) * y.shape[1])
    parts = solved.reshape(len(RIDGES), -1, len(bases), y.shape[1])
    length = x.shape[1]
    return [
        (base + parts[ridge, :length, place].T, parts[ridge, length:, place].T)
        for place, base in enumerate(bases)
        for ridge in range(len(RIDGES))
    ]


def _ridge(x: Values, y: Values) -> Values:
    """Coefficients [ridges, columns, outputs]."""
    gram, moments, one = x.T @ x, x.T @ y, np.eye(x.shape[1])
    return np.stack([np.linalg.solve(gram + ridge * len(x) * one, moments) for ridge in RIDGES])

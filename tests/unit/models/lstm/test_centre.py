import numpy as np
import pytest

from vaka.models.lstm.centre import Centre, choose, find_season, mean_season, problem, simple
from vaka.models.lstm.windows import Windows


def chosen(series, context: int, horizon: int, season: int, kind: str = "auto") -> Centre:
    windows = Windows(series=series, context=context, horizon=horizon)
    count = len(windows.origins(0, len(series)))
    known = np.zeros((count, horizon, 0))
    logs = bool((series.values > 0).all())
    return choose(windows, len(series), known, season, kind=kind, logs=logs)[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_keeps_its_last_value(make, seed: int) -> None:
    centre = chosen(make.series(make.walk(1500, seed)), 64, 10, 0)
    assert centre.is_last
    assert not centre.weights.any()


def test_a_season_is_found_and_used(make) -> None:
    values = make.seasonal()
    season = find_season(values, (12,), 12)
    assert season == 12
    centre = chosen(make.series(values, "M"), 36, 12, season)
    assert not centre.is_last
    assert centre.gain < 0.5


def test_no_season_is_found_in_a_random_walk(make) -> None:
    assert find_season(make.walk(1000), (5, 20), 10) == 0


def test_what_is_demanded_is_done(make) -> None:
    walk, seasonal = make.series(make.walk()), make.series(make.seasonal(), "M")
    assert not chosen(walk, 32, 4, 0, "linear").is_last
    assert chosen(seasonal, 36, 12, 12, "last").is_last


def test_simple_forecasts_are_linear_in_distances_from_the_last_value() -> None:
    past = np.arange(10.0) ** 2
    found = {name: past[-1] + (past - past[-1]) @ w.T for (name, _), w in simple(10, 4, (3,)).items()}
    assert found["last"].tolist() == [81] * 4
    assert found["drift"].tolist() == [90, 99, 108, 117]
    assert found["seasonal"].tolist() == [49, 64, 81, 49]
    assert found["seasonal-drift"].tolist() == [94, 109, 126, 139]


def test_the_mean_season_rises_with_the_level() -> None:
    season = np.tile([3.0, -1, -2], 4)
    past = season + np.repeat([1.0, 2, 3, 7], 3)
    ahead = past[-1] + (past - past[-1]) @ mean_season(12, 4, 3).T
    level = past[-3:].mean() - past[-9:].mean()
    assert ahead == pytest.approx([3 + 4 + level, -1 + 4 + level, -2 + 4 + level, 3 + 4 + level])


def test_known_covariates_move_the_centre(make) -> None:
    random = np.random.default_rng(0)
    holiday = (random.random(600) < 0.3).astype(float)
    values = 10 + 5 * holiday + 0.1 * random.standard_normal(600)
    series = make.series(np.stack([values, holiday], 1), "D", known=1)
    windows = Windows(series=series, context=16, horizon=3)
    origins = windows.origins(0, 600)
    known = windows.future(origins) - holiday[origins][:, None, None]
    centre = choose(windows, 600, known, 0, kind="auto", logs=False)[0]
    given = problem(windows, origins, 0, known, logarithmic=False)
    forecast = given.x @ centre.weights.T + np.einsum("hk,nhk->nh", centre.effects, given.known)
    assert np.abs(given.y - forecast).mean() < 0.3

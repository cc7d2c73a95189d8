import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaka.models.lstm import measures
from vaka.models.lstm.centre import better

LEVELS = (0.1, 0.5, 0.9)
finite = st.floats(-1e3, 1e3)


def test_pinball_of_the_median_is_half_the_absolute_error() -> None:
    truth = np.array([1.0, 4.0])
    assert measures.pinball(truth, np.array([[2.0], [2.0]]), [0.5]).tolist() == [0.5, 1.0]


@given(arrays(float, 200, elements=finite), st.floats(0.05, 0.95), finite)
def test_pinball_is_least_at_the_quantile(truth: np.ndarray, level: float, other: float) -> None:
    best, told = (
        measures.pinball(truth, np.full((200, 1), forecast), [level]).mean()
        for forecast in (np.quantile(truth, level, method="inverted_cdf"), other)
    )
    assert best <= told + 1e-9


def test_coverage_is_of_the_central_interval_and_of_none_that_is_not_told() -> None:
    truth, quantiles = np.array([0.0, 5.0]), np.array([[-1.0, 0, 1]] * 2)
    found = measures.coverage(truth, quantiles, LEVELS, 0.8)
    assert found is not None
    assert found.tolist() == [1, 0]
    assert measures.coverage(truth, quantiles, LEVELS, 0.95) is None


def test_naive_forecasts_are_what_anybody_could_make() -> None:
    values, origins = np.arange(10.0)[:, None], np.array([4, 6])
    assert measures.drift(values, origins, 2)[:, :, 0].tolist() == [[5, 6], [7, 8]]
    assert measures.seasonal_naive(values, origins, 4, 3)[0, :, 0].tolist() == [2, 3, 4, 2]
    assert measures.seasonal_naive(values, origins, 2, 0)[0, :, 0].tolist() == [4, 4]


@pytest.mark.parametrize("scaled", [False, True])
def test_the_random_walk_knows_nothing_of_what_comes(scaled: bool) -> None:
    values = np.random.default_rng(0).standard_normal((300, 1)).cumsum(0)
    changed = values.copy()
    changed[201:] = 1e6
    before, after = (
        measures.random_walk(v, np.array([200]), 3, LEVELS, scaled=scaled) for v in (values, changed)
    )
    assert (before == after).all()
    assert (np.diff(before, axis=-1) > 0).all()
    assert (np.diff(before[0, :, 0, -1]) > 0).all(), "wider the further ahead"


def test_volatility_follows_the_moves() -> None:
    calm, wild = np.zeros(100), np.tile([1.0, -1.0], 50)
    found = measures.volatility(np.concatenate([calm, wild]).cumsum()[:, None])[:, 0]
    assert found[90] < 1e-6
    assert found[-1] == pytest.approx(1, abs=0.01)


def test_to_be_better_takes_more_than_chance() -> None:
    random = np.random.default_rng(0)
    errors = np.abs(random.standard_normal(400))
    assert not better(errors, np.abs(random.standard_normal(400)), 5)
    assert better(errors * 0.7, errors, 5)
    assert not better(errors, errors, 5)

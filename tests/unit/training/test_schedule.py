"""The learning rate rises to its peak and falls to zero."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.training.schedule import START, WARM_UP, one_cycle


@given(total=st.integers(1, 2000), peak=st.floats(1e-6, 10))
def test_one_rise_and_one_fall_within_bounds(total: int, peak: float) -> None:
    rates = [one_cycle(step, total, peak) for step in range(total)]
    top = rates.index(max(rates))
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a > b for a, b in pairwise(rates[top:]))
    assert 0 < min(rates) <= max(rates) <= peak


def test_it_starts_low_and_peaks_after_the_warm_up() -> None:
    rates = [one_cycle(step, 999, 1.0) for step in range(999)]
    assert rates[0] == pytest.approx(START, abs=0.01)
    assert rates.index(max(rates)) == int(999 * WARM_UP)
    assert rates[-1] < 1e-5

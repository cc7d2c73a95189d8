import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.data.series.frequency import Frequency, days_of, infer

NONE = days_of([])


def times(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[s]")


@given(
    st.sampled_from(["S", "15T", "H", "D", "B", "W", "M", "Q", "Y"]),
    st.integers(0, 20_000),
    st.integers(20, 60),
)
def test_what_follows_is_of_the_same_frequency(shorthand: str, day: int, steps: int) -> None:
    frequency = Frequency.parse(shorthand)
    first = np.datetime64("1990-01-01") + np.timedelta64(day, "D")
    ahead = frequency.following(first, steps, NONE)
    assert (np.diff(ahead) > np.timedelta64(0)).all()
    assert (np.diff(frequency.numbers(ahead, NONE)[0]) == 1).all()


def test_business_days_leave_out_weekends_and_holidays() -> None:
    friday, holidays = np.datetime64("2018-12-21"), days_of(["2018-12-25", "2019-01-01"])
    ahead = Frequency("B").following(friday, 4, holidays)
    assert [str(t)[:10] for t in ahead] == ["2018-12-24", "2018-12-26", "2018-12-27", "2018-12-28"]


def test_the_end_of_a_month_stays_its_end() -> None:
    ahead = Frequency("M").following(np.datetime64("2024-01-31"), 3, NONE)
    assert [str(t)[:10] for t in ahead] == ["2024-02-29", "2024-03-31", "2024-04-30"]


@pytest.mark.parametrize(
    ("first", "shorthand"),
    [
        ("2024-01-01", "B"),
        ("2024-01-06", "D"),
        ("2024-01-01", "W"),
        ("2024-01-01", "M"),
        ("2024-01-01", "Q"),
        ("2024-01-01", "Y"),
        ("2024-01-01", "30T"),
        ("2024-01-01", "H"),
        ("2024-01-01", "10S"),
        ("1950-07-01", "6M"),
        ("2024-01-31", "2M"),
        ("2024-01-15", "24M"),
    ],
)
def test_the_frequency_is_inferred(first: str, shorthand: str) -> None:
    given_times = Frequency.parse(shorthand).following(np.datetime64(first), 40, NONE)
    assert str(infer(given_times)) == shorthand


@pytest.mark.parametrize("text", ["", "X", "0D", "1.5H", "5B"])
def test_what_is_no_frequency_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"no frequency: a number and one of S .second.*B .business day"):
        Frequency.parse(text)


def test_a_holiday_that_is_no_date_is_named() -> None:
    with pytest.raises(ValueError, match="'Christmas' is no date: write YYYY-MM-DD"):
        days_of(["Christmas"])


@pytest.mark.parametrize(
    ("shorthand", "seasons"), [("H", (24, 168)), ("30T", (2, 48, 336)), ("M", (12,)), ("Y", ())]
)
def test_seasons_are_days_weeks_and_years(shorthand: str, seasons: tuple[int, ...]) -> None:
    assert Frequency.parse(shorthand).seasons == seasons

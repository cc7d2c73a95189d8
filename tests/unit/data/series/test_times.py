import re

import numpy as np
import pytest

from vaka.data.series.times import parse_time, parse_times


@pytest.mark.parametrize(
    "text",
    ["2019-03-01", "20190301", "2019-03", "01.03.2019", "Mar 01, 2019", "01-Mar-19", "2019-03-01T00:00:00Z"],
)
def test_common_ways_to_write_a_day_are_read(text: str) -> None:
    assert parse_times([text])[0] == np.datetime64("2019-03-01")


def test_time_zones_are_converted() -> None:
    assert parse_times(["2019-03-01T01:00:00+02:00"])[0] == np.datetime64("2019-02-28T23:00")


def test_midnights_of_a_zone_are_its_days() -> None:
    found = parse_times(["2019-03-29T00:00:00+01:00", "2019-04-01T00:00:00+02:00"])
    assert [str(time) for time in found] == ["2019-03-29T00:00:00", "2019-04-01T00:00:00"]
    assert parse_time("2019-03-29T00:00:00+01:00") == np.datetime64("2019-03-28T23:00"), "perhaps an hour"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-02:00"])
def test_times_outside_of_the_calendar_in_utc_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{re.escape(text)}' is not within the years 1 to 9999 in UTC"):
        parse_times([text])


def test_what_may_be_day_or_month_is_refused_until_one_is_impossible() -> None:
    with pytest.raises(ValueError, match=r"'1/2/2019' may be %m/%d/%Y or %d/%m/%Y"):
        parse_times(["1/2/2019", "2/3/2019"])
    assert parse_times(["1/2/2019", "1/31/2019"])[0] == np.datetime64("2019-01-02")
    assert parse_times(["1/2/2019"], "%d/%m/%Y")[0] == np.datetime64("2019-02-01")


def test_tables_that_change_their_way_of_writing_are_read() -> None:
    found = parse_times(["20-May-87", "Apr 22, 2020"])
    assert [str(time)[:10] for time in found] == ["1987-05-20", "2020-04-22"]


def test_what_is_no_time_is_named() -> None:
    with pytest.raises(ValueError, match="'yesterday' is no time in ISO 8601"):
        parse_times(["2019-03-01", "yesterday"])


@pytest.mark.parametrize("text", ["yesterday", "1/2/2019"])
def test_whoever_gives_one_time_is_told_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' .*: write YYYY-MM-DD") as caught:
        parse_time(text)
    assert "timeFormat" not in str(caught.value)

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaka.api.architectures.lstm import SeriesOptions
from vaka.data.dataset import DatasetError
from vaka.data.series import Series, read

DAYS = [f"2024-01-{day:02}" for day in range(1, 31)]


def written(folder: Path, text: str, name: str = "prices.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def table(days: list[str], values: list[Any] | None = None) -> str:
    values = values or list(range(len(days)))
    return "".join(f"{day},{value}\n" for day, value in [("date", "price"), *zip(days, values, strict=True)])


def load(folder: Path, text: str, **options: Any) -> Series:
    return read(written(folder, text), SeriesOptions(**options))


def test_a_plain_table_is_one_target(tmp_path: Path) -> None:
    series = load(tmp_path, table(DAYS))
    assert (series.targets, str(series.frequency), len(series)) == (("price",), "D", 30)
    assert series.values[-1] == [29]
    assert read(tmp_path, SeriesOptions()).values.shape == (30, 1), "the only table of a folder"


def test_prices_may_be_negative(tmp_path: Path) -> None:
    values = [18.3, -36.98, 8.9, *range(27)]
    assert load(tmp_path, table(DAYS, values)).values[1] == [-36.98]


def test_disorder_and_duplicates_are_told(tmp_path: Path) -> None:
    days, values = [*DAYS[::-1], DAYS[3]], [*range(30)[::-1], 99]
    series = load(tmp_path, table(days, values))
    assert series.values[3] == [99]
    assert "rows were not in order of time: they were sorted" in series.notes
    assert "1 times stood more than once: the last value was kept" in series.notes
    assert load(tmp_path, table(days, values), duplicates="first").values[3] == [3]
    assert load(tmp_path, table(days, values), duplicates="mean").values[3] == [51]
    with pytest.raises(DatasetError, match=r"2024-01-04.* more than once, and duplicates is refuse"):
        load(tmp_path, table(days, values), duplicates="refuse")


def test_gaps_are_filled_and_told(tmp_path: Path) -> None:
    text = table(DAYS[:9] + DAYS[11:], [*range(9), *range(11, 30)])
    series = load(tmp_path, text)
    assert series.values[8:12, 0].tolist() == [8, 8, 8, 11]
    assert "2 missing steps were filled with the value before" in series.notes
    assert len(load(tmp_path, text, gaps="skip")) == 28
    with pytest.raises(DatasetError, match=r"has a gap after 2024-01-09.*gaps is refuse"):
        load(tmp_path, text, gaps="refuse")


def test_days_without_trading_are_no_steps(tmp_path: Path) -> None:
    weekdays = [day for day in DAYS if np.is_busday(day)]
    text = table(weekdays, [".", *range(1, len(weekdays))])  # as FRED writes a missing value
    series = load(tmp_path, text.replace("2024-01-15,10\n", ""))
    assert str(series.frequency) == "B"
    assert len(series) == len(weekdays) - 2
    assert "1 rows without a value were left out" in series.notes
    assert "1 steps without a value (holidays) are left out as if they were not" in series.notes


def test_business_days_east_of_utc_are_those_of_their_zone(tmp_path: Path) -> None:
    weekdays = [f"{day}T00:00:00+02:00" for day in DAYS if np.is_busday(day)]
    series = load(tmp_path, table(weekdays))
    assert (str(series.frequency), str(series.times[0])) == ("B", "2024-01-01T00:00:00")


def test_columns_have_roles(tmp_path: Path) -> None:
    rows = "".join(f"{day};{i};{i * 2};{i % 2}\n" for i, day in enumerate(DAYS))
    text = f"when;price;volume;holiday\n{rows}"
    series = load(tmp_path, text, observed=["volume"], known=["holiday"])
    assert series.columns == ("price", "volume", "holiday")
    assert series.values[3].tolist() == [3, 6, 1]
    assert load(tmp_path, text).targets == ("price", "volume", "holiday")
    with pytest.raises(DatasetError, match="no column 'prise' beside the times: it has price, volume"):
        load(tmp_path, text, targets=["prise"])
    with pytest.raises(DatasetError, match="column 'price' is named twice"):
        load(tmp_path, text, targets=["price"], known=["price"])


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    when = np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]").astype("datetime64[ms]")
    pq.write_table(pa.table({"when": when, "price": np.arange(30.0)}), tmp_path / "prices.parquet")
    series = read(tmp_path, SeriesOptions())
    assert (str(series.frequency), series.values[-1, 0]) == ("D", 29)


def test_parquet_may_have_times_to_the_nanosecond(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    days = np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]").astype("datetime64[ns]")
    table = pa.table({"when": days + np.timedelta64(1, "ns"), "price": np.arange(30.0)})
    pq.write_table(table, tmp_path / "prices.parquet")
    series = read(tmp_path, SeriesOptions())
    assert (str(series.frequency), str(series.times[0])) == ("D", "2024-01-01T00:00:00")


def test_a_part_of_the_table_can_be_chosen(tmp_path: Path) -> None:
    series = load(tmp_path, table(DAYS), start="2024-01-03", end="2024-01-20")
    assert (str(series.times[0])[:10], str(series.times[-1])[:10]) == ("2024-01-03", "2024-01-20")


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("", {}, "is empty"),
        ("date,price\n", {}, "needs a time column, another one and rows: it has date, price and 0 rows"),
        ("a,b\n1,2\n", {}, "has no column of times"),
        (table(DAYS), {"time_column": "day"}, "has no column 'day': it has date, price"),
        (table(DAYS[:5]), {}, "has 5 rows.*16 are needed"),
        (table(DAYS, ["dear", *range(29)]), {}, "row 2: price is 'dear', which is no number"),
        (table(DAYS, ['"1,5"', *range(29)]), {}, "price is '1,5', which is no number: write .* a point"),
        (table(DAYS, ["inf", *range(29)]), {}, "row 2: price is 'inf', which is not finite"),
        (table(DAYS) + "2024-02-01\n", {}, "row 32 has 1 fields, the header 2"),
        (table(DAYS), {"frequency": "M"}, "several values within one month: give a finer frequency"),
        (table(DAYS), {"frequency": "15T"}, "lacks .* of .* steps of one 15 minutes"),
        (table(DAYS), {"end": "soon"}, "start or end: 'soon' is no time.*: write YYYY-MM-DD"),
        (table(["1/2/2024"] * 16), {}, "'1/2/2024' may be .*: give timeFormat, as for strptime"),
        (table(DAYS), {"time_format": "%d.%m.%Y"}, "date: .* does not match format '%d.%m.%Y'$"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        load(tmp_path, text, **options)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_than_utf_8_are_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "prices.csv").write_text(table(DAYS).replace("price", "größe"), encoding=encoding)
    with pytest.raises(DatasetError, match=r"prices\.csv: cannot be read as CSV: .*: save it as UTF-8"):
        read(tmp_path, SeriesOptions())


def test_a_folder_must_hold_one_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="must hold one CSV or Parquet file: it holds none"):
        read(tmp_path, SeriesOptions())

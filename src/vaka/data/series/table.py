"""Columns of CSV and Parquet files."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.data.dataset import DatasetError

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_MISSING = frozenset({"", ".", "na", "n/a", "nan", "null", "none", "-", "#n/a"})
Columns = dict[str, list[Any]]
"""Texts, numbers or times by the name of their column; None where there is nothing."""


def read_table(file: Path, form: str) -> Columns:
    """All columns of a file, in its order of rows; DatasetError says what is wrong."""
    kind = SUFFIXES.get(file.suffix.lower(), "csv") if form == "auto" else form
    columns = _parquet(file) if kind == "parquet" else _csv(file)
    rows = len(next(iter(columns.values()), []))
    if len(columns) < 2 or not rows:
        told = f"it has {', '.join(columns) or 'no columns'} and {rows} rows"
        raise DatasetError(file, f"needs a time column, another one and rows: {told}")
    return columns


def _csv(file: Path) -> Columns:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            head = stream.readline()
            stream.seek(0)
            separator = max(",;\t", key=head.count)
            rows = [row for row in csv.reader(stream, delimiter=separator) if row]
    except UnicodeDecodeError as error:
        raise DatasetError(file, f"cannot be read as CSV: {error}: save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DatasetError(file, f"cannot be read as CSV: {error}") from error
    if not rows:
        raise DatasetError(file, "is empty")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names):
        raise DatasetError(file, f"has two columns of one name: {', '.join(names)}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise DatasetError(file, f"row {number} has {len(row)} fields, the header {len(names)}")
    return {name: [_cell(row[place]) for row in rows[1:]] for place, name in enumerate(names)}


def _cell(text: str) -> str | None:
    text = text.strip()
    return None if text.lower() in _MISSING else text


def _parquet(file: Path) -> Columns:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise DatasetError(file, "needs pyarrow to be read: pip install pyarrow, or give CSV") from error
    try:
        table = pq.read_table(file)
        return {name: _coarse(table[name], pa).to_pylist() for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DatasetError(file, f"cannot be read as Parquet: {error}") from error


def _coarse(column: Any, pa: Any) -> Any:
    """Times to the microsecond: Python's have no more digits, and a series needs seconds."""
    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("us", column.type.tz), safe=False)


def numbers(values: Sequence[Any], name: str, file: Path) -> NDArray[np.float64]:
    """A column as FP64, NaN where there is nothing; DatasetError names the row that is no number."""
    found = np.full(len(values), np.nan)
    for place, value in enumerate(values):
        if value is None:
            continue
        try:
            found[place] = float(value)
        except (TypeError, ValueError):
            told = f"row {place + 2}: {name} is {value!r}, which is no number"
            hint = ": write decimals with a point, and thousands with nothing" if "," in str(value) else ""
            raise DatasetError(file, told + hint) from None
        if np.isinf(found[place]):
            raise DatasetError(file, f"row {place + 2}: {name} is {value!r}, which is not finite")
    return found

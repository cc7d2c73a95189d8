"""Time series out of a table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.api.architectures.lstm import SeriesOptions
from vaka.data.dataset import DatasetError
from vaka.data.series import steps
from vaka.data.series.frequency import Days, Frequency, Times, days_of, infer
from vaka.data.series.table import SUFFIXES, Columns, numbers, read_table
from vaka.data.series.times import parse_times

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Values [n, columns] at times [n], a step apart: targets first, then observed, then known covariates."""

    times: Times
    values: Values
    targets: tuple[str, ...]
    observed: tuple[str, ...]
    known: tuple[str, ...]
    frequency: Frequency
    holidays: Days
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.targets, *self.observed, *self.known)


def read(source: Path, options: SeriesOptions, form: str = "auto") -> Series:
    """The series of a file, or of the only CSV or Parquet file of a folder.

    DatasetError names the file and what is wrong with it.
    """
    file = file_in(source)
    columns = read_table(file, form)
    try:
        holidays = days_of(options.holidays)
        name, times = _times(columns, options)
        frequency = Frequency.parse(options.frequency) if options.frequency else None
    except ValueError as error:
        raise DatasetError(file, str(error)) from error
    roles = _roles([column for column in columns if column != name], options, file)
    values = np.stack([numbers(columns[c], c, file) for role in roles for c in role], 1)
    raw = steps.Raw(times, values, len(roles[0]))
    raw, notes = steps.tidy(steps.between(raw, options, file), options, file)
    frequency = frequency or infer(raw.times)
    raw, more = steps.regular(raw, frequency, holidays, options, file)
    targets, observed, known = roles
    return Series(
        times=raw.times,
        values=raw.values,
        targets=targets,
        observed=observed,
        known=known,
        frequency=frequency,
        holidays=holidays,
        notes=(*notes, *more),
    )


def file_in(source: Path) -> Path:
    """The table that the source is or holds."""
    if source.is_file():
        return source
    found = [p for p in sorted(source.iterdir()) if p.suffix.lower() in SUFFIXES]
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise DatasetError(source, f"must hold one CSV or Parquet file: it holds {names}")
    return found[0]


def _times(columns: Columns, options: SeriesOptions) -> tuple[str, Times]:
    """Name and times of the time column: the one that is named, or else the first that holds times."""
    if options.time_column:
        if options.time_column not in columns:
            raise ValueError(f"has no column {options.time_column!r}: it has {', '.join(columns)}")
        return options.time_column, _parsed(columns[options.time_column], options.time_format)
    why = ""
    for name, column in columns.items():
        if _is_number(column[0]) and not (len(str(column[0])) == 8 and str(column[0]).isdecimal()):
            continue
        try:
            return name, _parsed(column, options.time_format)
        except ValueError as error:
            why = why or f": {name}: {error}"
    raise ValueError(f"has no column of times{why or ': name it in timeColumn'}")


def _parsed(column: list[Any], form: str | None) -> Times:
    if None in column:
        raise ValueError(f"row {column.index(None) + 2} has no time")
    try:
        return parse_times([value if isinstance(value, str) else str(value) for value in column], form)
    except ValueError as error:
        if form:
            raise
        raise ValueError(f"{error}: give timeFormat, as for strptime") from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


Role = tuple[str, ...]


def _roles(columns: list[str], options: SeriesOptions, file: Path) -> tuple[Role, Role, Role]:
    """Targets, observed and known columns: each that is named must be there, and in one role only."""
    named = [*options.targets, *options.observed, *options.known]
    for name in named:
        if name not in columns:
            raise DatasetError(file, f"has no column {name!r} beside the times: it has {', '.join(columns)}")
        if named.count(name) > 1:
            raise DatasetError(file, f"column {name!r} is named twice in targets, observed and known")
    targets = options.targets or [name for name in columns if name not in named]
    if not targets:
        raise DatasetError(file, "has no column left to forecast: name it in targets")
    return tuple(targets), tuple(options.observed), tuple(options.known)

"""From rows as they come to one row a step. What is changed is said in notes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaka.api.architectures.lstm import SeriesOptions
from vaka.data.dataset import DatasetError
from vaka.data.series.frequency import NAMES, Days, Frequency, Times
from vaka.data.series.times import parse_time

LEAST = 16
"""Fewer values are no series to learn from or to measure with."""
Notes = list[str]


@dataclass(frozen=True)
class Raw:
    """Rows of a table: times [n] and values [n, columns], of which the first are targets."""

    times: Times
    values: NDArray[np.float64]
    targets: int

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Raw":
        return Raw(self.times[chosen], self.values[chosen], self.targets)


def between(raw: Raw, options: SeriesOptions, file: Path) -> Raw:
    """The rows from `start` to `end`; a day as `end` is meant with all its hours."""
    chosen = np.ones(len(raw.times), bool)
    try:
        if options.start:
            chosen &= raw.times >= parse_time(options.start)
        if options.end:
            whole = np.timedelta64(86399 if len(options.end) <= len("2018-12-31") else 0, "s")
            chosen &= raw.times <= parse_time(options.end) + whole
    except ValueError as error:
        raise DatasetError(file, f"start or end: {error}") from error
    if chosen.sum() < LEAST:
        told = f"has {chosen.sum()} rows from {options.start or 'its first'} to {options.end or 'its last'}"
        raise DatasetError(file, f"{told}: {LEAST} are needed")
    return raw[chosen]


def tidy(raw: Raw, options: SeriesOptions, file: Path) -> tuple[Raw, Notes]:
    """Rows in order of time, each time once, and none without a target's value."""
    notes: Notes = []
    if (np.diff(raw.times) < np.timedelta64(0)).any():
        raw = raw[np.argsort(raw.times, kind="stable")]
        notes.append("rows were not in order of time: they were sorted")
    raw, twice = _once(raw, options, file)
    if twice:
        notes.append(
            f"{twice:,} times stood more than once: the {options.duplicates or 'last'} value was kept"
        )
    empty = np.asarray(np.isnan(raw.values[:, : raw.targets]).any(1))
    if empty.any():
        notes.append(f"{empty.sum():,} rows without a value were left out")
    raw = raw[~empty]
    if len(raw.times) < LEAST:
        raise DatasetError(file, f"has {len(raw.times)} rows with a value: {LEAST} are needed")
    return _covariates(raw, notes), notes


def _once(raw: Raw, options: SeriesOptions, file: Path) -> tuple[Raw, int]:
    times, first, counts = np.unique(raw.times, return_index=True, return_counts=True)
    twice = int((counts > 1).sum())
    if twice and options.duplicates == "refuse":
        raise DatasetError(file, f"has {times[counts > 1][0]} more than once, and duplicates is refuse")
    if options.duplicates == "mean" and twice:
        filled = np.where(np.isnan(raw.values), 0, raw.values)
        there = np.add.reduceat((~np.isnan(raw.values)).astype(float), first)
        with np.errstate(invalid="ignore"):
            return Raw(times, np.add.reduceat(filled, first) / there, raw.targets), twice
    return raw[first if options.duplicates == "first" else first + counts - 1], twice


def _covariates(raw: Raw, notes: Notes) -> Raw:
    """Missing covariates take the value before, or else the first that there is."""
    others = raw.values[:, raw.targets :]
    missing = np.isnan(others)
    if not missing.any():
        return raw
    notes.append(f"{missing.sum():,} missing values of covariates were filled with the one before")
    values = raw.values.copy()
    values[:, raw.targets :] = np.nan_to_num(_forward(_forward(others)[::-1])[::-1])
    return Raw(raw.times, values, raw.targets)


def _forward(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each NaN of columns [n, c] with the last number before it."""
    place = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(place), 0)


def regular(
    raw: Raw, frequency: Frequency, holidays: Days, options: SeriesOptions, file: Path
) -> tuple[Raw, Notes]:
    """One row a step of the frequency; missing steps are filled, left out or refused as `gaps` says."""
    numbers, between_steps = frequency.numbers(raw.times, holidays)
    name = (
        f"{frequency.multiple} {NAMES[frequency.unit]}s" if frequency.multiple > 1 else NAMES[frequency.unit]
    )
    notes = [f"{len(raw.times):,} values, one a {name}"]
    if between_steps:
        notes.append(f"{between_steps:,} times lie between steps of the frequency, or on holidays")
    if (np.diff(numbers) == 0).any():
        raise DatasetError(file, f"has several values within one {name}: give a finer frequency")
    gaps = int(numbers[-1] + 1 - len(numbers))
    if not gaps:
        return raw, notes
    if options.gaps == "refuse":
        after = raw.times[np.argmax(np.diff(numbers) > 1)]
        raise DatasetError(file, f"has a gap after {after}, and gaps is refuse")
    if options.gaps == "skip" or (options.gaps in (None, "auto") and frequency.unit == "B"):
        kind = "holidays" if frequency.unit == "B" else "gaps"
        return raw, [*notes, f"{gaps:,} steps without a value ({kind}) are left out as if they were not"]
    if gaps > len(numbers):
        told = f"lacks {gaps:,} of {gaps + len(numbers):,} steps of one {name}"
        raise DatasetError(file, f"{told}: give its frequency, or gaps: skip")
    return _filled(raw, numbers, frequency, holidays), [
        *notes,
        f"{gaps:,} missing steps were filled with the value before",
    ]


def _filled(raw: Raw, numbers: NDArray[np.int64], frequency: Frequency, holidays: Days) -> Raw:
    whole = np.arange(numbers[-1] + 1)
    before = np.searchsorted(numbers, whole, side="right") - 1
    ahead = frequency.following(raw.times[0], len(whole) - 1, holidays)
    times = np.concatenate([raw.times[:1], ahead])
    times[numbers] = raw.times
    return Raw(times, raw.values[before], raw.targets)

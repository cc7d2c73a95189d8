"""How far apart the values of a series are, and when the next ones come."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
"""UTC, to the second."""
Days = NDArray[np.datetime64]
"""Dates."""

NAMES = {
    **{"S": "second", "T": "minute", "H": "hour", "D": "day", "B": "business day"},
    **{"W": "week", "M": "month", "Q": "quarter", "Y": "year"},
}
_SECONDS = {"S": 1, "T": 60, "H": 3600, "D": 86400, "W": 7 * 86400}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_SEASONS = {"S": (60,), "T": (60, 1440), "H": (24, 168), "D": (7, 365), "B": (5,), "W": (52,)}
_SEASONS |= {"M": (12,), "Q": (4,)}
SHORTHAND = re.compile(r"([0-9]*)([STHDBWMQY])")


@dataclass(frozen=True)
class Frequency:
    """A number of units: 15 T is every quarter of an hour."""

    unit: str
    multiple: int = 1

    @classmethod
    def parse(cls, text: str) -> "Frequency":
        """Of shorthand such as B or 15T; ValueError says what is known."""
        found = SHORTHAND.fullmatch(text)
        if not found or found[1] == "0" or (found[2] == "B" and found[1]):
            known = ", ".join(f"{unit} ({name})" for unit, name in NAMES.items())
            raise ValueError(f"{text!r} is no frequency: a number and one of {known}")
        return cls(found[2], int(found[1] or 1))

    def __str__(self) -> str:
        return f"{self.multiple if self.multiple > 1 else ''}{self.unit}"

    @property
    def of_days(self) -> bool:
        """Whether steps are whole days, or more."""
        return self.unit not in ("S", "T", "H")

    @property
    def seasons(self) -> tuple[int, ...]:
        """After how many steps things may repeat: the day, the week, the year."""
        if not self.of_days:
            step = self.multiple * _SECONDS[self.unit]
            whole = [span // step for span in (3600, 86400, 7 * 86400) if span % step == 0]
            return tuple(count for count in whole if count > 1)
        known = _SEASONS.get(self.unit, ())
        return tuple(length // self.multiple for length in known if length % self.multiple == 0)

    def numbers(self, times: Times, holidays: Days) -> tuple[NDArray[np.int64], int]:
        """Which step each time is, from some beginning; and how many of them lie between two steps."""
        if self.unit == "B":
            days = times.astype("datetime64[D]")
            off = ~np.is_busday(days, holidays=holidays) & np.is_busday(days)
            return np.busday_count(days[0], days), int(off.sum())
        if months := _MONTHS.get(self.unit):
            since = times.astype("datetime64[M]").astype(np.int64)
            return (since - since[0]) // (months * self.multiple), 0
        seconds = (times - times[0]).astype(np.int64)
        step = _SECONDS[self.unit] * self.multiple
        return np.rint(seconds / step).astype(np.int64), int((seconds % step != 0).sum())

    def following(self, last: Any, steps: int, holidays: Days) -> Times:
        """The times [steps] of the values after `last`."""
        ahead = np.arange(1, steps + 1) * self.multiple
        last = np.datetime64(last, "s")
        day = last.astype("datetime64[D]")
        if self.unit == "B":
            days = np.busday_offset(day, ahead, roll="backward", holidays=holidays)
            return np.asarray(days + (last - day), "datetime64[s]")
        if months := _MONTHS.get(self.unit):
            return _months_later(last, ahead * months)
        return np.asarray(last + (ahead * _SECONDS[self.unit]).astype("timedelta64[s]"), "datetime64[s]")


def _months_later(last: np.datetime64, months: NDArray[np.int64]) -> Times:
    """The same day of later months; the last one of a month stays that, and no month has too many."""
    month, day = last.astype("datetime64[M]"), last.astype("datetime64[D]")
    place, of_day = (day - month.astype("datetime64[D]")).astype(int), last - day
    later = month + months.astype("timedelta64[M]")
    lengths = ((later + 1).astype("datetime64[D]") - later.astype("datetime64[D]")).astype(int)
    is_end = (month + 1).astype("datetime64[D]") - day == np.timedelta64(1, "D")
    days = np.where(is_end & (place >= 27), lengths - 1, np.minimum(place, lengths - 1))
    return np.asarray(later.astype("datetime64[D]") + days + of_day, "datetime64[s]")


def infer(times: Times) -> Frequency:
    """The frequency that most of these sorted, different times show."""
    steps = np.diff(times).astype(np.int64)
    values, counts = np.unique(steps, return_counts=True)
    step = int(values[np.argmax(counts)])
    day = 86400
    if step == day and not (~np.is_busday(times.astype("datetime64[D]"))).any():
        return Frequency("B")
    for unit, least, most, span in (("Y", 365, 366, 1), ("Q", 90, 92, 1), ("M", 28, 31, 1)):
        if least * day <= step <= most * day and step != 28 * day:
            return Frequency(unit, span)
    if months := _months_apart(times):
        return Frequency("M", months)
    for unit in ("W", "D", "H", "T"):
        if step % _SECONDS[unit] == 0:
            return Frequency(unit, step // _SECONDS[unit])
    return Frequency("S", step)


def _months_apart(times: Times) -> int:
    """How many months, mostly, if all are on one day of the month, or its last; 0 if they are not."""
    days = times.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    first, last = ((months + i).astype("datetime64[D]") - days for i in range(2))
    if len(np.unique(first)) > 1 and len(np.unique(last)) > 1:
        return 0
    values, counts = np.unique(np.diff(months).astype(int), return_counts=True)
    return int(values[np.argmax(counts)])


def days_of(dates: Sequence[str]) -> Days:
    """Dates of ISO text; ValueError names the one that is none."""
    for date in dates:
        try:
            np.datetime64(date, "D")
        except ValueError:
            raise ValueError(f"holidays: {date!r} is no date: write YYYY-MM-DD") from None
    return np.array(sorted(dates), "datetime64[D]")

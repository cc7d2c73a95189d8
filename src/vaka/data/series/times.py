"""Texts to times: those that can only be understood in one way."""

from collections.abc import Sequence
from datetime import UTC, datetime, time

import numpy as np

from vaka.data.series.frequency import Times

_FORMATS = (
    *("%Y-%m", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%Y %H:%M"),
    *("%b %d, %Y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%b-%d-%Y", "%Y-%b"),
)
_EITHER = (
    ("%m/%d/%Y", "%d/%m/%Y"),
    ("%m/%d/%y", "%d/%m/%y"),
    ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    ("%m-%d-%Y", "%d-%m-%Y"),
)
"""American and other orders: one of them must be impossible."""


def parse_times(texts: Sequence[str], form: str | None = None) -> Times:
    """UTC times of texts; a time zone is converted, and without one UTC is meant.

    Several times that are all midnight in their zones are days: those that were written, not those of UTC.

    Args:
        form: a format as for strptime; None tries ISO 8601 and what else is common.

    Raises:
        ValueError: a text is no time, or may be one of two.
    """
    if form:
        return _array([_parsed(text, form) for text in texts])
    if (found := _tried(texts, None)) is not None:
        return found
    for one in _FORMATS:
        if (found := _tried(texts, one)) is not None:
            return found
    for pair in _EITHER:
        both = [times for form in pair if (times := _tried(texts, form)) is not None]
        if len(both) == 2 and (both[0] != both[1]).any():
            raise ValueError(f"{texts[0]!r} may be {' or '.join(pair)}")
        if both:
            return both[0]
    return np.concatenate([_mixed(text) for text in texts])


def parse_time(text: str, *, days: bool = False) -> np.datetime64:
    """The UTC time of a single text; ValueError says how to write it.

    Args:
        days: whether it is one of a series of days, in which midnight of a zone is the day that is written.
    """
    try:
        found: np.datetime64 = parse_times([text] * (2 if days else 1))[0]  # by itself it may be an hour
    except ValueError as error:
        raise ValueError(f"{error}: write YYYY-MM-DD, with a time as in 2019-01-31T12:30") from None
    return found


def _mixed(text: str) -> Times:
    """The time of one text among others that are written in another way."""
    for form in (None, *_FORMATS):
        if (found := _tried([text], form)) is not None:
            return found
    raise ValueError(f"{text!r} is no time in ISO 8601")


def _tried(texts: Sequence[str], form: str | None) -> Times | None:
    try:
        found = [_parsed(text, form) for text in texts]
    except ValueError:
        return None
    return _array(found)


def _parsed(text: str, form: str | None) -> datetime:
    text = text.strip()
    if form:
        return datetime.strptime(text, form)
    if len(text) == 4 and text.isdecimal():
        return datetime(int(text), 1, 1)
    return datetime.fromisoformat(text)


def _array(times: Sequence[datetime]) -> Times:
    if len(times) > 1 and all(t.tzinfo and t.time() == time() for t in times):
        times = [t.replace(tzinfo=None) for t in times]
    return np.array([_utc(t) if t.tzinfo else t for t in times], "datetime64[s]")


def _utc(zoned: datetime) -> datetime:
    try:
        return zoned.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError(f"'{zoned.isoformat()}' is not within the years 1 to 9999 in UTC") from None

"""Which windows of a series are trained on, chosen by, and measured with."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vaka.data.series import Series

Values = NDArray[np.float64]
Origins = NDArray[np.int64]
"""Places in the series: of the last value that a forecast may know."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Every window of a series: what was known at an origin, and what came then."""

    series: Series
    context: int
    horizon: int

    def origins(self, start: int, stop: int) -> Origins:
        """All whose context is there and whose horizon lies in start..stop."""
        return np.arange(max(start, self.context) - 1, stop - self.horizon)

    def past(self, origins: Origins) -> Values:
        """[n, context, columns] up to and with each origin."""
        every = sliding_window_view(self.series.values, self.context, axis=0)
        return np.ascontiguousarray(every[origins - self.context + 1].transpose(0, 2, 1))

    def ahead(self, origins: Origins) -> Values:
        """[n, horizon, columns] after each origin."""
        every = sliding_window_view(self.series.values, self.horizon, axis=0)
        return np.ascontiguousarray(every[origins + 1].transpose(0, 2, 1))

    def truth(self, origins: Origins) -> Values:
        """The targets' values [n, horizon, targets] after each origin."""
        return self.ahead(origins)[..., : len(self.series.targets)]

    def future(self, origins: Origins) -> Values:
        """What is known ahead [n, horizon, known]."""
        return self.ahead(origins)[..., len(self.series.targets) + len(self.series.observed) :]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Where the parts of a series end: train, then validation, then test."""

    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, length: int, validation: float, test: float, horizon: int) -> "Split":
        """By the fractions of the series that are held out, newest last: a horizon at least of each.

        A `test` of zero holds out nothing.
        """
        tested = max(round(length * test), horizon) if test else 0
        return cls(
            train=length - tested - max(horizon, round(length * validation)),
            validation=length - tested,
            test=length,
        )


def spread_out(origins: Origins, most: int) -> Origins:
    """At most so many of them, evenly spread."""
    if len(origins) <= most:
        return origins
    return np.asarray(origins[np.linspace(0, len(origins) - 1, most).astype(int)])

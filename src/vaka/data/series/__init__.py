"""Time series out of CSV or Parquet: sorted, one value a step, and open about what was done for that."""

from vaka.data.series.read import Series, read

__all__ = ["Series", "read"]

"""Time-series forecasting with LSTMs on moves over volatility."""

from pathlib import Path

from vaka.api.architectures import options
from vaka.api.architectures.lstm import LSTM, SeriesOptions
from vaka.api.dataset import DatasetSpec
from vaka.data.series import read as read_series
from vaka.models.architecture import Learner
from vaka.models.lstm.evaluation import calibration, evaluate, unpacked
from vaka.models.lstm.plan import SeriesData

__all__ = ["TASK", "calibration", "evaluate", "learner", "read"]

TASK = "time-series-forecasting"


def read(source: Path, spec: DatasetSpec, scratch: Path) -> SeriesData:
    """A series from CSV or Parquet, or an archive with one."""
    said: SeriesOptions = options("lstm", spec.options)
    series = read_series(unpacked(source, scratch), said, spec.format)
    return SeriesData(
        series=series,
        options=said,
        source=source,
        validation_fraction=spec.validation_fraction,
    )


def learner(data: SeriesData, hyperparameters: LSTM, device: str) -> Learner:
    """A training run on this series."""
    from vaka.models.lstm.series_learner import SeriesLearner  # imports torch

    return SeriesLearner(data, hyperparameters, device)

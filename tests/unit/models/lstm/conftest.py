"""Small series, and a forecaster that a run has published."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from vaka.api.architectures.lstm import LSTM, SeriesOptions
from vaka.api.run import Run
from vaka.artifacts.read import open_model
from vaka.data.series import Series
from vaka.data.series.frequency import Frequency, days_of
from vaka.models.architecture import Published
from vaka.models.lstm.plan import SeriesData
from vaka.training.report import Reporter
from vaka.training.run import execute

SMALL = {
    "epochs": 1,
    "members": 2,
    "hidden_size": 4,
    "context": 32,
    "horizon": 4,
    "recent": 8,
    "batch_size": 64,
}


def walk(length: int = 500, seed: int = 0) -> np.ndarray:
    """A random walk whose volatility comes in clusters, and which goes below zero."""
    random, size, moves = np.random.default_rng(seed), 1.0, []
    for _ in range(length):
        moves.append(size * random.standard_normal())
        size = np.sqrt(0.05 + 0.1 * moves[-1] ** 2 + 0.85 * size**2)
    return 5 + np.cumsum(moves)


def seasonal(length: int = 240, seed: int = 0) -> np.ndarray:
    """Monthly: a trend, a season that grows with it, and noise."""
    steps, random = np.arange(length), np.random.default_rng(seed)
    return np.exp(4 + steps / 120 + 0.2 * np.sin(steps * np.pi / 6) + 0.02 * random.standard_normal(length))


def series_of(values: np.ndarray, frequency: str = "B", *, observed: int = 0, known: int = 0) -> Series:
    columns = values.reshape(len(values), -1)
    unit = Frequency.parse(frequency)
    times = unit.following(np.datetime64("2000-01-03"), len(columns), days_of([]))
    targets = columns.shape[1] - observed - known
    return Series(
        times=times,
        values=columns,
        targets=tuple(f"t{i}" for i in range(targets)),
        observed=tuple(f"o{i}" for i in range(observed)),
        known=tuple(f"k{i}" for i in range(known)),
        frequency=unit,
        holidays=days_of([]),
    )


def data_of(series: Series, *, validation: float = 0.2, test: float = 0.2) -> SeriesData:
    return SeriesData(
        series=series,
        options=SeriesOptions(test_fraction=test),
        source=Path("prices.csv"),
        validation_fraction=validation,
    )


def write_csv(file: Path, series: Series) -> Path:
    rows = [",".join(("time", *series.columns))]
    for time, row in zip(series.times.astype("datetime64[D]"), series.values.tolist(), strict=True):
        rows.append(",".join(map(str, (time, *row))))
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A model folder as a run leaves it; its data, prices.csv, beside it."""
    folder = tmp_path_factory.mktemp("lstm")
    write_csv(folder / "prices.csv", series_of(walk()))
    small = {LSTM.__struct_encode_fields__[LSTM.__struct_fields__.index(k)]: v for k, v in SMALL.items()}
    spec = {
        "model": {"architecture": "lstm", "hyperparameters": small},
        "dataset": {"storageUri": (folder / "prices.csv").as_uri(), "validationFraction": 0.2},
        "output": {"storageUri": (folder / "model").as_uri()},
    }
    job = {"name": "prices", "namespace": "team", "uid": "1", "spec": spec}
    run = msgspec.convert(job | {"publicOutput": "pvc://models/prices", "publicCheckpoint": ""}, Run)
    execute(run, Reporter(), folder / "scratch")
    return Published(folder / "model", open_model(folder / "model"))


class Make:
    """What the tests are made of."""

    walk = staticmethod(walk)
    seasonal = staticmethod(seasonal)
    series = staticmethod(series_of)
    data = staticmethod(data_of)
    csv = staticmethod(write_csv)

    @staticmethod
    def settings(**changes: Any) -> LSTM:
        return LSTM(**(SMALL | changes))


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make

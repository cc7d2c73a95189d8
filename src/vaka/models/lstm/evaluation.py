"""How good a forecaster is, on any series with its columns."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from vaka.api.architectures.lstm import SeriesOptions
from vaka.api.dataset import DatasetSpec
from vaka.artifacts.manifest import Manifest
from vaka.artifacts.runtime import Predict
from vaka.data.archive import is_archive, unpack
from vaka.data.dataset import DatasetError
from vaka.data.series import Series
from vaka.data.series import read as read_series
from vaka.data.series.times import parse_time
from vaka.models.architecture import Evaluation, Inputs, Metrics, Published
from vaka.models.lstm.rolling import Known, inputs_at, roll
from vaka.models.lstm.windows import Windows, spread_out

SAMPLES = 256
SHOWN = (1, 5, 20)
"""Steps ahead that are told one by one, beside the last."""


def evaluate(predict: Predict, model: Published, source: Path, options: Evaluation) -> dict[str, Any]:
    """Rolling origins from `start` on, or else over all that the model has not learned from."""
    manifest = model.manifest
    known = Known.of(manifest.options)
    horizon = known.horizon if options.horizon is None else options.horizon
    if not 1 <= horizon <= known.horizon:
        raise DatasetError(source, f"horizon is {horizon}: the model forecasts 1 to {known.horizon} steps")
    series = series_for(manifest, source, options.options, options.format, options.scratch)
    begin, notes = _begin(series, manifest, options.start, source)
    if len(series) - max(begin, known.context) < horizon:
        told = f"has {len(series) - begin:,} values from {series.times[min(begin, len(series) - 1)]} on"
        raise DatasetError(
            source, f"{told}, and {known.context} must lie before: {horizon} are forecast at once"
        )
    started = perf_counter()
    rolled = roll(predict, known, series, begin, horizon)
    seconds = perf_counter() - started
    steps = sorted({step for step in SHOWN if step < horizon} | {horizon})
    return {
        "horizon": horizon,
        "start": str(series.times[rolled.origins[0] + 1]),
        "end": str(series.times[rolled.origins[-1] + horizon]),
        **rolled.metrics(),
        **{f"step{step}": rolled.metrics(step) for step in steps},
        "baselines": {
            f"{name}Mae": float(e.mean()) for name, e in rolled.absolute.items() if name != "model"
        },
        "count": len(rolled.origins),
        "samplesPerSecond": len(rolled.origins) / seconds,
        "notes": [*series.notes, *notes],
    }


def calibration(
    model: Published, source: Path, spec: DatasetSpec, scratch: Path
) -> tuple[list[Inputs], Callable[[Predict], Metrics]]:
    """Windows of what the model learned from, and its measures on the rest."""
    manifest, known = model.manifest, Known.of(model.manifest.options)
    own = msgspec.convert(spec.options, SeriesOptions)
    series = series_for(manifest, source, own, spec.format, scratch)
    begin, _ = _begin(series, manifest, None, source)
    windows = Windows(series=series, context=known.context, horizon=known.horizon)
    chosen = spread_out(windows.origins(0, max(begin, known.context + known.horizon)), SAMPLES)
    samples: list[Inputs] = [inputs_at(windows, chosen[i : i + 1]) for i in range(len(chosen))]
    return samples, lambda predict: roll(predict, known, series, begin).metrics()


def series_for(manifest: Manifest, source: Path, options: SeriesOptions, form: str, scratch: Path) -> Series:
    """A series with the model's columns and frequency, read as its own, where nothing else is said."""
    said = manifest.options
    own = msgspec.structs.replace(
        options,
        targets=options.targets or said["targets"],
        observed=options.observed or said["observed"],
        known=options.known or said["known"],
        frequency=options.frequency or said["frequency"],
        holidays=options.holidays or said["holidays"],
        time_column=options.time_column or said.get("timeColumn"),  # manifests did not always have these
        time_format=options.time_format or said.get("timeFormat"),
        gaps=options.gaps or said.get("gaps"),
        duplicates=options.duplicates or said.get("duplicates"),
    )
    table = unpacked(source, scratch)
    try:
        series = read_series(table, own, form)
    except DatasetError:
        if options.targets or len(manifest.labels) > 1 or own.observed or own.known:
            raise
        series = read_series(table, msgspec.structs.replace(own, targets=[]), form)
        if len(series.targets) > 1:  # of one column, the name does not matter
            raise
    if said["positive"] and (series.values[:, : len(series.targets)] <= 0).any():
        raise DatasetError(source, "has values that are not positive: the model forecasts logarithms")
    return series


def unpacked(source: Path, scratch: Path) -> Path:
    """The source, or what an archive holds."""
    return unpack(source, scratch) if is_archive(source) else source


def _begin(
    series: Series, manifest: Manifest, start: str | None, source: Path
) -> tuple[int, tuple[str, ...]]:
    """Place of the first value that is forecast, and what a person should know of it."""
    if start is not None:
        try:
            return int(np.searchsorted(series.times, parse_time(start))), ()
        except ValueError as error:
            raise DatasetError(source, f"start: {error}") from error
    learned, horizon = np.datetime64(manifest.options["learnedUntil"]), manifest.options["horizon"]
    after = int(np.searchsorted(series.times, learned, side="right"))
    new = len(series) - after
    if new >= horizon:
        return after, ()
    told = f"{new:,} values are after {learned}, up to which the model learned, and {horizon} are forecast"
    return 0, (f"{told} at once: all of the series is measured, which it may have learned from",)

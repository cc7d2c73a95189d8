"""The recent past of a series in; means, quantiles and their times out."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.artifacts.tensors import Array, from_json
from vaka.data.series.frequency import Frequency, Times, days_of
from vaka.data.series.times import parse_time
from vaka.models.lstm.rolling import FUTURE, MEAN, PAST, QUANTILES
from vaka.models.pipeline import Arrays, Pipeline

TIMESTAMP = "timestamp"
TIMESTAMPS = "timestamps"
MOST = 1e100
"""Squares of larger values leave too little room in FP64: a forecast from them might be none."""


class Forecast(msgspec.Struct, omit_defaults=True):
    """The answer to one past. Of one target lists of numbers, of several a list for each step."""

    mean: list[Any]
    quantiles: dict[str, list[Any]]
    timestamps: list[str] = []


class _Instance(msgspec.Struct, forbid_unknown_fields=True):
    past: list[Any]
    future: list[Any] | None = None
    timestamp: str = ""
    timestamps: list[str] = []


class Forecasting(Pipeline):
    """See `vaka.models.pipeline.Pipeline`."""

    independent_rows = True
    forecasts = True

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        said = manifest.options
        self.context, self.horizon = int(said["context"]), int(said["horizon"])
        self.levels = [float(level) for level in said["quantiles"]]
        self.targets: list[str] = said["targets"]
        self.known: list[str] = said["known"]
        self.columns = [*self.targets, *said["observed"], *self.known]
        self.frequency = Frequency.parse(said["frequency"])
        self._holidays = days_of(said["holidays"])
        self._positive = bool(said["positive"])
        self._signature = self._public()

    @property
    def signature(self) -> Signature:
        return self._signature

    def _public(self) -> Signature:
        inputs = [Tensor(name=PAST, datatype="FP64", shape=[-1, -1, len(self.columns)])]
        if self.known:
            inputs.append(Tensor(name=FUTURE, datatype="FP64", shape=[-1, self.horizon, len(self.known)]))
        inputs.append(Tensor(name=TIMESTAMP, datatype="BYTES", shape=[-1, 1]))
        times = Tensor(name=TIMESTAMPS, datatype="BYTES", shape=[-1, self.horizon])
        return Signature(inputs=inputs, outputs=[*self.manifest.signature.outputs, times])

    def encode(self, inputs: Arrays) -> tuple[Arrays, Any]:
        """The newest values of each past; BadInput where they are too few, or are none."""
        past = inputs[PAST]
        if past.shape[1] < self.context:
            raise BadInput(
                f"input 'past' has {past.shape[1]} values: the model needs the newest {self.context} or more"
            )
        past = past[:, -self.context :]
        for name, array in [(PAST, past), *((n, a) for n, a in inputs.items() if n == FUTURE)]:
            if not np.isfinite(array).all():
                raise BadInput(f"input {name!r} has NaN or infinity: fill the gaps of the series")
            if (large := array[np.abs(array) > MOST]).size:
                raise BadInput(f"input {name!r} has {large[0]:g}: give values from {-MOST:g} to {MOST:g}")
        if self._positive and (past[..., : len(self.targets)] <= 0).any():
            raise BadInput(
                f"input 'past' has values that are not positive: {', '.join(self.targets)} must be"
            )
        times = [
            self.ahead(str_of(text), f"timestamp[{i}]") for i, text in enumerate(inputs[TIMESTAMP][:, 0])
        ]
        graph = {PAST: past} | ({FUTURE: inputs[FUTURE]} if self.known else {})
        return graph, np.array(times, object).reshape(len(past), self.horizon)

    def decode(self, outputs: Arrays, told: Any) -> Arrays:
        return {**outputs, TIMESTAMPS: told}

    def ahead(self, timestamp: str, where: str) -> list[str]:
        """When the forecasts are for, by the time of the last value; empty texts where that is unknown."""
        if not timestamp:
            return [""] * self.horizon
        try:
            last = self.time(timestamp)
        except ValueError as error:
            raise BadInput(f"{where}: {error}") from None
        return [f"{time}Z" for time in self.following(last, self.horizon)]

    def time(self, text: str) -> np.datetime64:
        """Of a value of such a series; ValueError says how to write it."""
        return parse_time(text, days=self.frequency.of_days)

    def following(self, last: np.datetime64, steps: int) -> Times:
        """The times of the values after the one at `last`."""
        return self.frequency.following(last, steps, self._holidays)

    def instances(self, given: list[Any], where: str) -> Arrays:
        found = [self._instance(one, f"{where}[{i}]") for i, one in enumerate(given)]
        return {
            tensor.name: np.concatenate([one[tensor.name] for one in found])
            for tensor in self.signature.inputs
        }

    def _instance(self, given: Any, where: str) -> dict[str, Array]:
        """One row of each input, of a list of values or of an object with them."""
        try:
            one = msgspec.convert(given if isinstance(given, dict) else {"past": given}, _Instance)
        except msgspec.ValidationError as error:
            told = (
                f"give a list of values, or an object with past{', future' * bool(self.known)} and timestamp"
            )
            raise BadInput(f"{where}: {error}: {told}") from None
        past = self._rows(one.past, self.columns, f"{where}.past")
        if len(past) < self.context:
            told = f"{where}.past has {len(past)} values: the model needs the newest {self.context} or more"
            raise BadInput(told)
        timestamp = one.timestamps[-1] if one.timestamps else one.timestamp
        found = {PAST: past[None, -self.context :], TIMESTAMP: np.array([[timestamp]], object)}
        return found | self._future(one, where)

    def _future(self, one: _Instance, where: str) -> dict[str, Array]:
        if not self.known:
            if one.future is not None:
                raise BadInput(f"{where}.future: the model knows no covariates ahead")
            return {}
        names = ", ".join(self.known)
        future = self._rows(one.future or [], self.known, f"{where}.future")
        if len(future) != self.horizon:
            raise BadInput(
                f"{where}.future has {len(future)} rows: {names} are needed for {self.horizon} steps"
            )
        return {FUTURE: future[None]}

    def _rows(self, given: list[Any], names: list[str], where: str) -> Array:
        """FP64 [n, columns] of rows, or of numbers where there is one column."""
        array = from_json(given, "FP64", where)
        if array.ndim == 1 and len(names) == 1:
            array = array[:, None]
        if len(given) and array.shape[1:] != (len(names),):
            raise BadInput(f"{where} must be a list of rows with {len(names)} numbers: {', '.join(names)}")
        return array

    def predictions(self, outputs: Arrays) -> list[Any]:
        one = len(self.targets) == 1
        mean, quantiles = outputs[MEAN], outputs[QUANTILES]
        if one:
            mean, quantiles = mean[..., 0], quantiles[:, :, 0]
        names = [str(level) for level in self.levels]
        return [
            Forecast(
                mean=mean[i].tolist(),
                quantiles={name: quantiles[i, ..., q].tolist() for q, name in enumerate(names)},
                timestamps=[] if not outputs[TIMESTAMPS][i, 0] else outputs[TIMESTAMPS][i].tolist(),
            )
            for i in range(len(mean))
        ]

    def instance_schema(self) -> dict[str, Any]:
        return {}

    def instance_example(self) -> Any:
        row: Any = 1.0 if len(self.columns) == 1 else [1.0] * len(self.columns)
        example: dict[str, Any] = {"past": [row] * self.context, "timestamp": "2026-01-02"}
        if self.known:
            example["future"] = [[0.0] * len(self.known)] * self.horizon
        return example

    def example(self, rows: int) -> Arrays:
        """Ones, which have a logarithm."""
        found = {PAST: np.ones((rows, self.context, len(self.columns)))}
        return found | ({FUTURE: np.ones((rows, self.horizon, len(self.known)))} if self.known else {})


def str_of(value: str | bytes) -> str:
    """BadInput where bytes are no text."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        raise BadInput("input 'timestamp': BYTES must be UTF-8") from None


def pipeline(manifest: Manifest, _: Path) -> Pipeline:
    """That of a forecaster's manifest."""
    return Forecasting(manifest)

"""POST /v1/timeseries/forecast: KServe's open API for forecasts.

Source: https://kserve.github.io/website/docs/reference/time_series/api
"""

import time
import uuid
from collections.abc import Sequence
from statistics import NormalDist
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from vaka.artifacts.errors import BadInput
from vaka.artifacts.tensors import Array
from vaka.models.lstm.pipeline import TIMESTAMPS, Forecasting
from vaka.models.lstm.rolling import MEAN, QUANTILES
from vaka.models.pipeline import Arrays, Pipeline
from vaka.serving.errors import BadRequest, ServingError, refusal_of
from vaka.serving.messages import Response

Kind = Literal["univariate_time_series", "multivariate_time_series"]
_UNITS = {
    **{"second": "S", "minute": "T", "hour": "H", "day": "D"},
    **{"week": "W", "month": "M", "quarter": "Q", "year": "Y"},
}
_SAME = {"B": "D"}
"""The API has no business days: they are days."""
_LATEST = np.datetime64("9999-12-31T23:59:59")


class Input(msgspec.Struct):
    """One series: numbers, or rows of them, the oldest first."""

    type: Kind
    name: str
    series: list[Any]
    frequency: str
    start_timestamp: str | None = None
    timestamp: str | None = None
    """Of the last value, beyond the API: business days cannot be counted from the start without holidays."""
    future: list[Any] | None = None
    """What is known ahead, beyond the API."""


class Options(msgspec.Struct):
    horizon: Annotated[int, Meta(ge=1)]
    quantiles: list[Annotated[float, Meta(gt=0, lt=1)]] | None = None


class ForecastRequest(msgspec.Struct):
    model: str
    inputs: Annotated[list[Input], Meta(min_length=1)]
    options: Options


def decode(body: bytes) -> ForecastRequest:
    """BadRequest says what is wrong, and where."""
    try:
        return msgspec.json.decode(body, type=ForecastRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not a forecast request: {error}") from None


def described(name: str, model: Forecasting) -> dict[str, Any]:
    """Schema and example of a request, for OpenAPI."""
    texts = {field: {"type": "string"} for field in ("type", "name", "frequency", "start_timestamp")}
    series = {
        "type": "object",
        "required": list(texts)[:3],
        "properties": texts | {"series": {"type": "array"}},
    }
    steps = {"horizon": {"type": "integer", "minimum": 1, "maximum": model.horizon}}
    levels = {"quantiles": {"type": "array", "items": {"type": "number"}}}
    schema = {
        "type": "object",
        "required": ["model", "inputs", "options"],
        "properties": {
            "model": {"type": "string"},
            "inputs": {"type": "array", "minItems": 1, "items": series},
            "options": {"type": "object", "required": ["horizon"], "properties": steps | levels},
        },
    }
    one = {"type": _kind(model), "name": "series", "series": model.instance_example()["past"]}
    unit = model.frequency.unit
    inputs = [one | {"frequency": _SAME.get(unit, unit), "start_timestamp": "2026-01-02"}]
    options = {"horizon": model.horizon, "quantiles": [model.levels[0], model.levels[-1]]}
    return {"schema": schema, "example": {"model": name, "inputs": inputs, "options": options}}


def forecaster(pipeline: Pipeline, name: str) -> Forecasting:
    """BadRequest unless the model forecasts."""
    if not isinstance(pipeline, Forecasting):
        raise BadRequest(
            f"model {name!r} does not forecast: its task is {pipeline.manifest.task or 'unknown'}"
        )
    return pipeline


def inputs_of(asked: ForecastRequest, model: Forecasting) -> Arrays:
    """The pipeline's inputs, a row for each series."""
    _check_options(asked.options, model)
    rows = [_row(one, model, f"inputs[{i}]") for i, one in enumerate(asked.inputs)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _check_options(options: Options, model: Forecasting) -> None:
    if options.horizon > model.horizon:
        raise BadRequest(
            f"options.horizon is {options.horizon}: the model forecasts 1 to {model.horizon} steps"
        )
    low, high = model.levels[0], model.levels[-1]
    for level in options.quantiles or []:
        if not low <= level <= high:
            raise BadRequest(f"options.quantiles has {level}: the model knows {low} to {high}")


def _row(one: Input, model: Forecasting, where: str) -> Arrays:
    if one.type != (kind := _kind(model)):
        raise BadRequest(f"{where}.type is {one.type}: the model takes {', '.join(model.columns)}, a {kind}")
    unit = _UNITS.get(one.frequency.lower(), one.frequency)
    own = model.frequency.unit
    if unit not in (own, _SAME.get(own)):
        raise BadRequest(f"{where}.frequency is {one.frequency!r}: the model forecasts {_SAME.get(own, own)}")
    instance: dict[str, Any] = {"past": one.series, "timestamp": _last(one, model, where)}
    if one.future is not None:
        instance["future"] = one.future
    try:
        return model.instances([instance], where)
    except BadInput as error:
        raise BadRequest(str(error).replace(f"{where}[0].past", f"{where}.series")) from None


def _kind(model: Forecasting) -> Kind:
    return "univariate_time_series" if len(model.columns) == 1 else "multivariate_time_series"


def _last(one: Input, model: Forecasting, where: str) -> str:
    """When the last value was: as it is said, or counted from the first."""
    said, field = (one.timestamp, "timestamp") if one.timestamp else (one.start_timestamp, "start_timestamp")
    if not said:
        return ""
    try:
        last = model.time(said)
    except ValueError as error:
        raise BadRequest(f"{where}.{field}: {error}") from None
    if not one.timestamp and len(one.series) > 1:
        last = model.following(last, len(one.series) - 1)[-1]
    if last > _LATEST:
        raise BadRequest(f"{where}.{field} is {said!r}: the last value's time must lie before the year 10000")
    return f"{last}Z"


def encode(asked: ForecastRequest, outputs: Arrays, model: Forecasting) -> bytes:
    """The answer: for each series its mean, the quantiles that were asked for, and when it begins."""
    steps, levels = asked.options.horizon, asked.options.quantiles
    wanted = quantiles_at(outputs[QUANTILES], model.levels, levels) if levels else None
    found = []
    for i, one in enumerate(asked.inputs):
        content: dict[str, Any] = {
            "type": one.type if len(model.targets) > 1 else "univariate_time_series",
            "name": one.name,
            "mean_forecast": _series(outputs[MEAN][i, :steps]),
            "frequency": one.frequency,
            "start_timestamp": outputs[TIMESTAMPS][i, 0],
            "timestamps": [time for time in outputs[TIMESTAMPS][i, :steps].tolist() if time],
        }
        if levels and wanted is not None:
            content["quantiles"] = {
                str(level): _series(wanted[i, :steps, :, q]) for q, level in enumerate(levels)
            }
        found.append(
            {"type": "time_series_forecast", "id": _id("ts"), "status": "completed", "content": [content]}
        )
    answer = {"id": _id("resp"), "created_at": int(time.time()), "status": "completed", "error": None}
    return msgspec.json.encode(answer | {"model": asked.model, "outputs": found})


def quantiles_at(known: Array, levels: Sequence[float], wanted: Sequence[float]) -> Array:
    """Quantiles [..., wanted] of those that the model tells [..., levels]; between them, as if normal."""
    normal = NormalDist().inv_cdf
    places = np.interp([normal(w) for w in wanted], [normal(level) for level in levels], range(len(levels)))
    below = np.minimum(places.astype(int), max(0, len(levels) - 2))
    above, part = np.minimum(below + 1, len(levels) - 1), places - below
    return np.asarray(known[..., below] * (1 - part) + known[..., above] * part)


def _series(values: Array) -> list[Any]:
    """Numbers of one target, rows of several."""
    rows: list[Any] = (values[:, 0] if values.shape[1] == 1 else values).tolist()
    return rows


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def refusal(refused: ServingError | BadInput) -> Response:
    """The API's error: an object, not a text as elsewhere."""
    error = refusal_of(refused)
    said = {"code": str(error.status), "message": str(error), "param": None, "type": type(error).__name__}
    return Response(msgspec.json.encode({"error": said}), error.status, headers=error.headers)

"""What the server takes and gives, as an OpenAPI document and as a page for people.

Source: https://spec.openapis.org/oas/v3.1.0
"""

import math
from html import escape
from typing import Any

import msgspec

import vaka
from vaka.artifacts.manifest import Tensor
from vaka.models.pipeline import Pipeline

JSON = "application/json"
FORECAST = "/v1/timeseries/forecast"
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
NUMBERS = {"BOOL": "boolean", "BYTES": "string", "FP16": "number", "FP32": "number", "FP64": "number"}
REFUSALS = {
    "400": "The body is not what the model takes (the message says what is wrong and allowed).",
    "404": "No model of this name or version is served here.",
    "413": "The body is too large.",
    "415": "The body is encoded in a way that is not read.",
    "503": "The model is not ready, or more is asked than can be answered: see Retry-After.",
    "504": "The model was not free in time.",
}


def document(name: str, pipeline: Pipeline | None) -> dict[str, Any]:
    """The OpenAPI document of the model `name`, with what it takes if it is there."""
    operations = {
        f"/v1/models/{name}:predict": {"post": _operation("predict", "Predict (V1)", _v1(pipeline))},
        f"/v2/models/{name}/infer": {
            "post": _operation("infer", "Infer (Open Inference Protocol)", _v2(pipeline))
        },
        f"/v1/models/{name}": {"get": _asking("modelStatus", "Whether the model is ready (V1)")},
        f"/v2/models/{name}": {"get": _asking("modelMetadata", "Inputs and outputs of the model")},
        f"/v2/models/{name}/ready": {"get": _asking("modelReady", "Whether the model is ready")},
        "/v1/models": {"get": _asking("models", "Names of the models")},
        "/v2": {"get": _asking("serverMetadata", "Name, version and extensions of the server")},
        "/v2/health/live": {"get": _asking("live", "Whether the server is up")},
        "/v2/health/ready": {"get": _asking("ready", "Whether it answers predictions")},
    }
    if pipeline and pipeline.forecasts:
        from vaka.serving import timeseries  # most servers have no use for it

        body = timeseries.described(name, timeseries.forecaster(pipeline, name))
        operations[FORECAST] = {"post": _operation("forecast", "Forecast (KServe's time-series API)", body)}
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": vaka.__version__, "description": _about(pipeline)},
        "paths": operations,
    }


def page(document: dict[str, Any]) -> bytes:
    """The document for people, without scripts: each operation with an example to copy."""
    parts = [f"<h1>{escape(document['info']['title'])}</h1><p>{escape(document['info']['description'])}</p>"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            title = f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            parts.append(f"{title}<p>{escape(operation['summary'])}</p>{_example_html(path, operation)}")
    body = "\n".join(parts)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Vaka</title>{STYLE}{body}</html>".encode()
    )


STYLE = (
    "<style>body{font:16px system-ui;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f4f4f4;padding:1rem;overflow:auto}h2{font-size:1rem;margin-top:2rem}</style>"
)


def _example_html(path: str, operation: dict[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    example = operation["requestBody"]["content"][JSON].get("example")
    if example is None:
        return ""
    text = escape(msgspec.json.encode(example).decode())
    return f"<pre>curl localhost:8080{escape(path)} -d '{text}'</pre>"


def _about(pipeline: Pipeline | None) -> str:
    if pipeline is None:
        return "The model is not loaded yet."
    manifest = pipeline.manifest
    return f"{manifest.task or 'model'}, {manifest.architecture or 'ONNX'}"


def _operation(identity: str, summary: str, body: dict[str, Any]) -> dict[str, Any]:
    refusals = {status: _answer(said, ERROR) for status, said in REFUSALS.items()}
    return {
        "operationId": identity,
        "summary": summary,
        "requestBody": {"required": True, "content": {JSON: body}},
        "responses": {"200": _answer("The answer.", {"type": "object"})} | refusals,
    }


def _asking(identity: str, summary: str) -> dict[str, Any]:
    answers = {
        "200": _answer("The answer.", {"type": "object"}),
        "503": _answer("Not now.", {"type": "object"}),
    }
    return {"operationId": identity, "summary": summary, "responses": answers}


def _answer(said: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": said, "content": {JSON: {"schema": schema}}}


def _v1(pipeline: Pipeline | None) -> dict[str, Any]:
    rows: dict[str, Any] = {"type": "array", "minItems": 1, "items": {}}
    schema = {"type": "object", "required": ["instances"], "properties": {"instances": rows}}
    if pipeline is None:
        return {"schema": schema}
    own, example = pipeline.instance_schema(), pipeline.instance_example()
    inputs = pipeline.signature.inputs
    if own is not None:
        rows["items"] = own
    elif len(inputs) == 1:
        rows["items"] = _nested(inputs[0], inputs[0].shape[1:])
        example = _zeros(inputs[0], _sizes(inputs[0])[1:])
    return {"schema": schema} | ({} if example is None else {"example": {"instances": [example]}})


def _sizes(tensor: Tensor) -> list[int]:
    """The smallest shape that fits."""
    return [size if size > 0 else 1 for size in tensor.shape]


def _v2(pipeline: Pipeline | None) -> dict[str, Any]:
    described = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
    }
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": described}},
    }
    if pipeline is None:
        return {"schema": schema}
    inputs = [
        {
            "name": tensor.name,
            "shape": (shape := _sizes(tensor)),
            "datatype": tensor.datatype,
            "data": _zeros(tensor, [math.prod(shape)]),
        }
        for tensor in pipeline.signature.inputs
    ]
    return {"schema": schema, "example": {"inputs": inputs}}


def _nested(tensor: Tensor, shape: list[int]) -> dict[str, Any]:
    """Lists in lists down to the datatype's JSON."""
    schema: dict[str, Any] = {"type": NUMBERS.get(tensor.datatype, "integer")}
    for size in reversed(shape):
        bounds = {"minItems": size, "maxItems": size} if size >= 0 else {}
        schema = {"type": "array", "items": schema} | bounds
    return schema


def _zeros(tensor: Tensor, shape: list[int]) -> Any:
    zero: Any = {"BOOL": False, "BYTES": ""}.get(tensor.datatype, 0)
    for size in reversed(shape):
        zero = [zero] * size
    return zero

"""The V1 protocol (TensorFlow Serving's and KServe's): {"instances": [...]} to {"predictions": [...]}.

Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from typing import Any

import msgspec

from vaka.artifacts.tensors import check_names, from_json
from vaka.models.pipeline import Arrays, Pipeline
from vaka.serving import numbers
from vaka.serving.errors import BadRequest


class _Body(msgspec.Struct):
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None


def decode(body: bytes, pipeline: Pipeline) -> Arrays:
    """The model's inputs; `instances` are rows, `inputs` rows or a whole tensor for each input's name."""
    signature = pipeline.signature.inputs
    if len(signature) == 1 and (read := numbers.v1_rows(body, signature[0].datatype)):
        field, array = read
        return pipeline.rows(array, field)
    field, given = _parsed(body)
    if isinstance(given, dict):
        check_names(given, signature, f"{field}: ")
        return {t.name: from_json(given[t.name], t.datatype, f"{field}.{t.name}") for t in signature}
    return pipeline.instances(given, field)


def _parsed(body: bytes) -> tuple[str, list[Any] | dict[str, Any]]:
    """The field that holds the instances, and these, at least one."""
    try:
        request = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not a V1 request: {error}") from None
    field = "inputs" if request.instances is None else "instances"
    given = request.inputs if request.instances is None else request.instances
    if not given:
        raise BadRequest('the body needs "instances" or "inputs" with at least one instance')
    return field, given


def encode(outputs: Arrays, pipeline: Pipeline) -> bytes:
    """{"predictions": [...]}, one for each instance; NaN and infinity become null, as JSON has neither."""
    _check_rows(outputs)
    return msgspec.json.encode({"predictions": pipeline.predictions(outputs)})


def _check_rows(outputs: Arrays) -> None:
    """BadRequest unless there is one row of each output for an instance."""
    other = "use /v2/models/NAME/infer"
    for name, array in outputs.items():
        if array.ndim == 0:
            raise BadRequest(f"output {name!r} is no batch, so V1 cannot tell it: {other}")
    if len({len(array) for array in outputs.values()}) > 1:
        raise BadRequest(f"the outputs are of different length, so V1 cannot tell them: {other}")

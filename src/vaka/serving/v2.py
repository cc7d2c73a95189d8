"""The Open Inference Protocol, version 2, in JSON.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from vaka.artifacts.manifest import Signature, Tensor
from vaka.serving.errors import BadRequest
from vaka.serving.tensors import DATATYPES, DTYPES, Array, from_json, reshaped

VERSION = "1"
"""A server has one version of its model; the digest says which it is."""
PLATFORM = "onnxruntime_onnx"


class InputTensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any
    parameters: dict[str, Any] = {}


class RequestedOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] = []
    parameters: dict[str, Any] = {}


class OutputTensor(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


class InferResponse(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


class ModelMetadata(msgspec.Struct):
    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


def decode(body: bytes) -> tuple[InferRequest, dict[str, Array]]:
    """The request and its tensors by name, data flat or nested in row-major order."""
    try:
        request = msgspec.json.decode(body, type=InferRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not an inference request: {error}") from None
    arrays: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in arrays:
            raise BadRequest(f"input {tensor.name!r} is given twice")
        arrays[tensor.name] = _array(tensor)
    return request, arrays


def encode(request: InferRequest, outputs: Mapping[str, Array], model: str) -> bytes:
    """The response, data flat; NaN and infinity become null, as JSON has neither."""
    tensors = [
        OutputTensor(name, DATATYPES[array.dtype], list(array.shape), array.ravel().tolist())
        for name, array in outputs.items()
    ]
    return msgspec.json.encode(InferResponse(model, VERSION, tensors, request.id))


def metadata(model: str, signature: Signature) -> ModelMetadata:
    """What a client must know to ask: names, types and shapes, -1 for a free dimension."""
    return ModelMetadata(model, [VERSION], PLATFORM, signature.inputs, signature.outputs)


def _array(tensor: InputTensor) -> Array:
    where = f"input {tensor.name!r}"
    for datatype in DTYPES:
        if tensor.datatype == datatype:
            return reshaped(from_json(tensor.data, datatype, where), tensor.shape, where)
    raise BadRequest(f"{where} has datatype {tensor.datatype!r}: known are {', '.join(DTYPES)}")

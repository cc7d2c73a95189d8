"""The Open Inference Protocol, version 2, over HTTP: JSON, and tensors as bytes behind it.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
and, for the bytes, the binary tensor data extension:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from vaka.artifacts.manifest import Signature, Tensor
from vaka.artifacts.tensors import DATATYPES, Array, from_json, known, reshaped
from vaka.serving import numbers
from vaka.serving.errors import BadRequest
from vaka.serving.options import DEFAULT_VERSION
from vaka.serving.raw import from_raw, to_raw

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = ["binary_tensor_data"]
HEADER_LENGTH = "inference-header-content-length"


class InputParameters(msgspec.Struct, frozen=True):
    binary_data_size: int | None = None


class InputTensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: InputParameters = InputParameters()


class OutputParameters(msgspec.Struct, frozen=True):
    binary_data: bool | None = None


class RequestedOutput(msgspec.Struct):
    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(msgspec.Struct, frozen=True):
    binary_data_output: bool = False
    timeout: int | None = None
    """Microseconds after which the answer is of no use any more, as Triton has it."""


class InferRequest(msgspec.Struct):
    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] = []
    parameters: RequestParameters = RequestParameters()

    def wants_bytes(self, output: str) -> bool:
        """Whether this output shall come as bytes."""
        for asked in self.outputs:
            if asked.name == output and asked.parameters.binary_data is not None:
                return asked.parameters.binary_data
        return self.parameters.binary_data_output


class OutputTensor(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, int] = {}


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


class Encoded(NamedTuple):
    """A body, and how many bytes of it are JSON where tensors follow as bytes."""

    body: bytes
    header_length: int | None


def decode(body: bytes, header_length: int | None = None) -> tuple[InferRequest, dict[str, Array]]:
    """The request and its tensors by name, data flat or nested in row-major order.

    Args:
        header_length: bytes of the body that are JSON; the tensors' bytes follow. None: all is JSON.
    """
    if header_length is None and (read := numbers.v2_inputs(body)) is not None:
        return _regular(*read)
    request = _parsed(body if header_length is None else body[:header_length], InferRequest)
    tail = _Tail(memoryview(b"" if header_length is None else body)[header_length or 0 :])
    arrays = _by_name([(tensor, _array(tensor, tail)) for tensor in request.inputs])
    tail.check_used()
    return request, arrays


def encode(
    request: InferRequest, outputs: Mapping[str, Array], model: str, version: str = DEFAULT_VERSION
) -> Encoded:
    """The response, data flat; NaN and infinity become null in JSON, which has neither."""
    tensors: list[OutputTensor] = []
    tail: list[bytes] = []
    for name, array in outputs.items():
        if request.wants_bytes(name):
            tensor, content = as_bytes(name, array)
            tail.append(content)
        else:
            tensor = as_json(name, array)
        tensors.append(tensor)
    header = msgspec.json.encode(InferResponse(model, version, tensors, request.id))
    return Encoded(b"".join([header, *tail]), len(header)) if tail else Encoded(header, None)


def as_json(name: str, array: Array) -> OutputTensor:
    """The tensor with its data in it, flat."""
    return OutputTensor(name, DATATYPES[array.dtype], list(array.shape), array.ravel().tolist())


def as_bytes(name: str, array: Array) -> tuple[OutputTensor, bytes]:
    """The tensor, and its data that follows behind the JSON."""
    datatype = DATATYPES[array.dtype]
    content = to_raw(array, datatype)
    size = {"binary_data_size": len(content)}
    return OutputTensor(name, datatype, list(array.shape), parameters=size), content


def metadata(model: str, signature: Signature, versions: list[str]) -> ModelMetadata:
    """What a client must know to ask: names, types and shapes, -1 for a free dimension."""
    return ModelMetadata(model, versions, PLATFORM, signature.inputs, signature.outputs)


def _parsed(body: bytes, kind: type[InferRequest]) -> InferRequest:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not an inference request: {error}") from None


def _regular(
    rest: dict[str, Any], inputs: list[tuple[dict[str, Any], Array]]
) -> tuple[InferRequest, dict[str, Array]]:
    """The same from what was read the fast way."""
    try:
        document = rest | {"inputs": [tensor for tensor, _ in inputs]}
        request = msgspec.convert(document, InferRequest)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body is not an inference request: {error}") from None
    pairs = zip(request.inputs, (array for _, array in inputs), strict=True)
    return request, _by_name([(tensor, reshaped(a, tensor.shape, _where(tensor))) for tensor, a in pairs])


def _by_name(tensors: list[tuple[InputTensor, Array]]) -> dict[str, Array]:
    arrays = {tensor.name: array for tensor, array in tensors}
    if len(arrays) < len(tensors):
        names = [tensor.name for tensor, _ in tensors]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"input {twice!r} is given twice")
    return arrays


def _where(tensor: InputTensor) -> str:
    return f"input {tensor.name!r}"


def _array(tensor: InputTensor, tail: "_Tail") -> Array:
    where = _where(tensor)
    datatype = known(tensor.datatype, where)
    size = tensor.parameters.binary_data_size
    if size is not None:
        return reshaped(from_raw(tail.take(size, where), datatype, where), tensor.shape, where)
    if tensor.data is None:
        raise BadRequest(f"{where} has neither data nor binary_data_size")
    return reshaped(from_json(tensor.data, datatype, where), tensor.shape, where)


class _Tail:
    """The bytes behind the JSON, taken one tensor after the other."""

    def __init__(self, content: memoryview) -> None:
        self._left = content

    def take(self, size: int, where: str) -> memoryview:
        if not 0 <= size <= len(self._left):
            raise BadRequest(f"{where}: binary_data_size is {size}, {len(self._left)} bytes are left")
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def check_used(self) -> None:
        if len(self._left):
            raise BadRequest(
                f"{len(self._left)} bytes follow the last tensor: no binary_data_size counts them"
            )

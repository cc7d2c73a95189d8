"""The Open Inference Protocol's gRPC messages to arrays and back; raw contents are little-endian.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from vaka.artifacts.manifest import Datatype, Signature
from vaka.serving.errors import BadRequest
from vaka.serving.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse, ModelMetadataResponse
from vaka.serving.tensors import DATATYPES, DTYPES, Array, from_json, reshaped
from vaka.serving.v2 import PLATFORM, VERSION

CONTENTS: dict[Datatype, str] = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The typed field of each datatype; FP16 has none and always comes raw."""


def decode(request: ModelInferRequest) -> dict[str, Array]:
    """The request's tensors by name, from raw or typed contents."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise BadRequest(f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs")
    arrays: dict[str, Array] = {}
    for i, tensor in enumerate(request.inputs):
        where = f"input {tensor.name!r}"
        if tensor.name in arrays:
            raise BadRequest(f"{where} is given twice")
        datatype = next((known for known in DTYPES if known == tensor.datatype), None)
        if datatype is None:
            raise BadRequest(f"{where} has datatype {tensor.datatype!r}: known are {', '.join(DTYPES)}")
        flat = _from_raw(raw[i], datatype, where) if raw else _from_contents(tensor, datatype, where)
        arrays[tensor.name] = reshaped(flat, tensor.shape, where)
    return arrays


def encode(request: ModelInferRequest, outputs: Mapping[str, Array]) -> ModelInferResponse:
    """The response, raw where the request was raw or a datatype has no typed contents."""
    response = ModelInferResponse(model_name=request.model_name, model_version=VERSION, id=request.id)
    raw = bool(request.raw_input_contents) or any(
        DATATYPES[a.dtype] not in CONTENTS for a in outputs.values()
    )
    for name, array in outputs.items():
        datatype = DATATYPES[array.dtype]
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(_to_raw(array, datatype))
        else:
            getattr(tensor.contents, CONTENTS[datatype]).extend(_typed(array, datatype))
    return response


def metadata(model: str, signature: Signature) -> ModelMetadataResponse:
    """What a client must know to ask."""
    response = ModelMetadataResponse(name=model, versions=[VERSION], platform=PLATFORM)
    for field, tensors in ((response.inputs, signature.inputs), (response.outputs, signature.outputs)):
        for tensor in tensors:
            field.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    return response


def _from_contents(tensor: ModelInferRequest.InferInputTensor, datatype: Datatype, where: str) -> Array:
    if datatype not in CONTENTS:
        raise BadRequest(f"{where}: {datatype} has no typed contents: send it in raw_input_contents")
    values = getattr(tensor.contents, CONTENTS[datatype])
    if datatype == "BYTES":
        return _texts(list(values), where)
    if datatype in ("FP32", "FP64"):
        return np.array(values, DTYPES[datatype])  # of the right width already, NaN and infinity included
    return from_json(list(values), datatype, where)


def _from_raw(content: bytes, datatype: Datatype, where: str) -> Array:
    if datatype == "BYTES":
        return _texts(_split(content, where), where)
    dtype = DTYPES[datatype].newbyteorder("<")
    if len(content) % dtype.itemsize:
        raise BadRequest(f"{where}: {len(content)} raw bytes are no whole number of {datatype}")
    if datatype == "BOOL":
        return np.frombuffer(content, np.uint8).astype(np.bool_)
    return np.frombuffer(content, dtype).astype(DTYPES[datatype], copy=False)


def _split(content: bytes, where: str) -> list[bytes]:
    """Raw BYTES: each element is its length in four bytes, then itself."""
    elements: list[bytes] = []
    at = 0
    while at < len(content):
        start = at + 4
        length = int.from_bytes(content[at:start], "little")
        at = start + length
        if at > len(content):
            raise BadRequest(f"{where}: the raw bytes end within element {len(elements)}")
        elements.append(content[start:at])
    return elements


def _texts(values: list[bytes], where: str) -> Array:
    try:
        return np.array([value.decode() for value in values], dtype=object)
    except UnicodeDecodeError as error:
        raise BadRequest(f"{where}: BYTES must be UTF-8: {error}") from None


def _to_raw(array: Array, datatype: Datatype) -> bytes:
    if datatype != "BYTES":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    elements = (text.encode() for text in array.flat)
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def _typed(array: Array, datatype: Datatype) -> list[Any]:
    values = array.ravel().tolist()
    return [text.encode() for text in values] if datatype == "BYTES" else values

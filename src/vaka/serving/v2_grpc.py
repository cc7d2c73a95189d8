"""The Open Inference Protocol's gRPC messages to arrays and back; raw contents are little-endian.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaka.artifacts.manifest import Datatype, Signature
from vaka.artifacts.tensors import DATATYPES, DTYPES, Array, from_json, known, reshaped
from vaka.serving.errors import BadRequest
from vaka.serving.options import DEFAULT_VERSION
from vaka.serving.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse, ModelMetadataResponse
from vaka.serving.raw import from_raw, texts, to_raw
from vaka.serving.v2 import PLATFORM

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
        datatype = known(tensor.datatype, where)
        flat = from_raw(raw[i], datatype, where) if raw else _from_contents(tensor, datatype, where)
        arrays[tensor.name] = reshaped(flat, tensor.shape, where)
    return arrays


def encode(
    request: ModelInferRequest, outputs: Mapping[str, Array], version: str = DEFAULT_VERSION
) -> ModelInferResponse:
    """The response, raw where the request was raw or a datatype has no typed contents."""
    response = ModelInferResponse(model_name=request.model_name, model_version=version, id=request.id)
    raw = bool(request.raw_input_contents) or any(
        DATATYPES[a.dtype] not in CONTENTS for a in outputs.values()
    )
    for name, array in outputs.items():
        datatype = DATATYPES[array.dtype]
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(to_raw(array, datatype))
        else:
            getattr(tensor.contents, CONTENTS[datatype]).extend(_typed(array, datatype))
    return response


def metadata(model: str, signature: Signature, versions: list[str]) -> ModelMetadataResponse:
    """What a client must know to ask."""
    response = ModelMetadataResponse(name=model, versions=versions, platform=PLATFORM)
    for field, tensors in ((response.inputs, signature.inputs), (response.outputs, signature.outputs)):
        for tensor in tensors:
            field.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    return response


def _from_contents(tensor: ModelInferRequest.InferInputTensor, datatype: Datatype, where: str) -> Array:
    if datatype not in CONTENTS:
        raise BadRequest(f"{where}: {datatype} has no typed contents: send it in raw_input_contents")
    values = getattr(tensor.contents, CONTENTS[datatype])
    if datatype == "BYTES":
        return texts(list(values))
    if datatype in ("FP32", "FP64"):
        return np.array(values, DTYPES[datatype])  # of the right width already, NaN and infinity included
    return from_json(list(values), datatype, where)


def _typed(array: Array, datatype: Datatype) -> list[Any]:
    values = array.ravel().tolist()
    return [text.encode() for text in values] if datatype == "BYTES" else values

"""What an ONNX file says, as far as it is needed here: servers have no package onnx, which is large."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaka.serving.engines.engine import Unsuitable
from vaka.serving.pb.onnx_graph_pb2 import AttributeProto, ModelProto, TensorProto

ATTRIBUTES = {
    AttributeProto.FLOAT: "f",
    AttributeProto.INT: "i",
    AttributeProto.STRING: "s",
    AttributeProto.INTS: "ints",
}
TENSORS: dict[int, tuple[str, type[np.generic]]] = {
    TensorProto.FLOAT: ("float_data", np.float32),
    TensorProto.INT64: ("int64_data", np.int64),
}


def model_in(file: Path) -> ModelProto:
    """What is in an ONNX file; it can be written again with all that is not read here."""
    model: ModelProto = ModelProto.FromString(file.read_bytes())
    return model


def value_of(attribute: AttributeProto) -> Any:
    """A number, bytes, or some whole numbers; None for what is of another kind."""
    field = ATTRIBUTES.get(attribute.type)
    return getattr(attribute, field) if field else None


def array_of(tensor: TensorProto) -> NDArray[Any]:
    """The tensor's values. Unsuitable where they are in another file, or of another type than most."""
    if tensor.data_type not in TENSORS or tensor.data_location == TensorProto.EXTERNAL:
        raise Unsuitable(f"{tensor.name} is of type {tensor.data_type}, or in another file")
    field, kind = TENSORS[tensor.data_type]
    if tensor.raw_data:
        return np.frombuffer(tensor.raw_data, np.dtype(kind).newbyteorder("<")).reshape(tensor.dims)
    return np.array(getattr(tensor, field), kind).reshape(tensor.dims)

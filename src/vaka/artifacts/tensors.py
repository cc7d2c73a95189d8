"""Tensors between JSON and the model: exact about types, ranges and shapes."""

import math
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import Datatype, Tensor

Array: TypeAlias = NDArray[Any]

DTYPES: dict[Datatype, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
"""numpy's type of each datatype; BYTES are arrays of str, for strings in ONNX are UTF-8 text."""
DATATYPES = {dtype: name for name, dtype in DTYPES.items()}

_ACCEPTED = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}
"""Kinds of numpy type that JSON may come as, for each kind that is wanted: no silent truncation."""


def known(datatype: str, where: str) -> Datatype:
    """The datatype of this name; BadInput where there is none."""
    for one in DTYPES:
        if one == datatype:
            return one
    raise BadInput(f"{where} has datatype {datatype!r}: known are {', '.join(DTYPES)}")


def from_json(values: Any, datatype: Datatype, where: str) -> Array:
    """Nested lists of JSON values as an array of the datatype.

    BadInput where lists are ragged, a value is of another type, or does not fit into the datatype.
    """
    if datatype == "BYTES":
        return _texts(values, where)
    try:
        found = np.asarray(values)
    except (ValueError, OverflowError):
        raise BadInput(f"{where}: lists of different lengths side by side are no tensor") from None
    target = DTYPES[datatype]
    if target.kind in "iu" and found.dtype.kind == "f":
        found = _exact(values)
    if found.size == 0:
        return np.zeros(found.shape, target)
    if found.dtype.kind not in _ACCEPTED[target.kind]:
        raise BadInput(f"{where}: not all values are {_meaning(target)}, as {datatype} needs")
    return fitting(found, target, f"{where}: a value is out of the range of {datatype}")


def _exact(values: Any) -> Array:
    """Whole numbers as uint64 where numpy, finding some beyond int64 among others, took them for floats."""
    found = np.array(values, dtype=object)
    whole = all(type(value) is int and 0 <= value < 2**64 for value in found.flat)
    return found.astype(np.uint64) if whole else found


def _texts(values: Any, where: str) -> Array:
    try:
        found = np.array(values, dtype=object)
    except ValueError:
        found = np.array([None], dtype=object)
    if not all(isinstance(value, str) for value in found.flat):
        place = next(place for place, value in np.ndenumerate(found) if not isinstance(value, str))
        index = "".join(f"[{i}]" for i in place)
        raise BadInput(f"{where}{index} is no text: BYTES are strings, in lists of equal length")
    return found


def fitting(found: Array, target: np.dtype[Any], complaint: str) -> Array:
    """The same numbers as another type; BadInput with the complaint where one does not fit."""
    if target.kind in "iu":
        limits = np.iinfo(target)
        if int(found.min()) < limits.min or int(found.max()) > limits.max:
            raise BadInput(complaint)
        return found.astype(target)
    with np.errstate(over="ignore"):
        result = found.astype(target)
    if target.kind == "f" and np.count_nonzero(np.isfinite(result)) < result.size:  # all() takes longer
        raise BadInput(complaint)
    return result


def _meaning(target: np.dtype[Any]) -> str:
    return {"b": "true or false", "f": "numbers"}.get(target.kind, "whole numbers")


def reshaped(array: Array, shape: Sequence[int], where: str) -> Array:
    """The array in the shape that the request names; flat or already of that shape."""
    wanted = tuple(shape)
    if any(size < 0 for size in wanted):
        raise BadInput(f"{where}: shape {list(shape)} has a negative size")
    if array.ndim != 1 and array.shape != wanted:
        raise BadInput(f"{where}: data has shape {list(array.shape)} and shape says {list(shape)}")
    if array.size != math.prod(wanted):
        raise BadInput(
            f"{where}: data has {array.size} values, shape {list(shape)} needs {math.prod(wanted)}"
        )
    return array.reshape(wanted)


def with_ones(array: Array, tensor: Tensor) -> Array:
    """Rows as the model takes them where they leave out dimensions of size 1, such as the channel of grey."""
    wanted = tensor.shape[1:]
    written = [size for size in array.shape[1:] if size != 1]
    if array.ndim == len(tensor.shape) or written != [size for size in wanted if size != 1]:
        return array
    return array.reshape(len(array), *wanted)


def check_names(given: Collection[str], signature: list[Tensor], where: str = "") -> None:
    """BadInput unless exactly the inputs of the signature are given."""
    names = [tensor.name for tensor in signature]
    unknown, missing = sorted(set(given) - set(names)), sorted(set(names) - set(given))
    for name in unknown + missing:
        what = "missing" if name in names else "unknown"
        raise BadInput(f"{where}input {name!r} is {what}: the model takes {', '.join(names)}")


def check(array: Array, tensor: Tensor) -> None:
    """BadInput unless the array is what the signature says of this input."""
    if array.dtype != DTYPES[tensor.datatype]:
        datatype = DATATYPES.get(array.dtype, str(array.dtype))
        raise BadInput(f"input {tensor.name!r} is {datatype}, the model takes {tensor.datatype}")
    fits = len(array.shape) == len(tensor.shape) and all(
        allowed in (-1, size) for size, allowed in zip(array.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise BadInput(
            f"input {tensor.name!r} has shape {list(array.shape)}, the model takes {tensor.shape} (-1: any)"
        )
    if array.size == 0:
        raise BadInput(f"input {tensor.name!r} is empty: its shape is {list(array.shape)}")

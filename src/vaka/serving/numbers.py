"""Numbers in JSON straight to an array, for the regular bodies that most requests are.

simdjson finds the numbers, and they are copied to an array without a Python object for each: a tenth of the
time of the exact way by msgspec and numpy. Whatever is not plainly regular is None here, and the exact way
reads it or says what is wrong with it; a property test holds both to the same results.
"""

import math
import threading
from typing import Any

import numpy as np
import simdjson

from vaka.artifacts.manifest import Datatype
from vaka.artifacts.tensors import DTYPES, Array, fitting

IRREGULAR = (ValueError, TypeError, KeyError, IndexError, RuntimeError, AttributeError)
"""What is raised where a document is not as expected."""

NUMBERS = b"0123456789+-.eE"
"""What numbers are written with. Keys lose an e, too, but they are not read from what is left."""
SKELETONS, SKELETON = 256, 16_384
"""How many are remembered by each thread, and of how many bytes at most."""

_local = threading.local()


def v1_rows(body: bytes, datatype: Datatype) -> tuple[str, Array] | None:
    """The one field of a V1 body, and its nested lists of numbers as an array."""
    document: Any = None
    values: Any = None
    try:
        document = _parser().parse(body)
        (field,) = document.keys()
        if field not in ("instances", "inputs"):
            return None
        values = document[field]
        shape = _shapes().of(body, values)
        return None if shape is None else (field, _array(values, datatype, shape))
    except IRREGULAR:
        return None
    finally:
        del document, values  # the parser is free only when nothing of the document is left


def v2_inputs(body: bytes) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Array]]] | None:
    """A v2 body without its inputs, and each input without its data beside that data as a flat array."""
    document: Any = None
    values: Any = None
    tensor: Any = None
    try:
        document = _parser().parse(body)
        inputs = []
        for tensor in document["inputs"]:
            rest = {name: _plain(tensor[name]) for name in tensor.keys() if name != "data"}  # noqa: SIM118
            values = tensor["data"]
            inputs.append((rest, _array(values, rest["datatype"], (len(values),))))
        rest = {name: _plain(document[name]) for name in document.keys() if name != "inputs"}  # noqa: SIM118
        flat = 1 + 2 * len(inputs) + ("outputs" in rest)
        return (rest, inputs) if body.count(b"[") == flat else None
    except IRREGULAR:
        return None
    finally:
        del document, values, tensor


def _parser() -> Any:
    """simdjson's parsers are for one thread each."""
    if not hasattr(_local, "parser"):
        _local.parser = simdjson.Parser()
    return _local.parser


class _Shapes:
    """Shapes of regular bodies by what is left of a body without its numbers.

    Clients send bodies of one shape, written in one way: to look the shape up takes a third of the time of
    walking through the lists. That all values are numbers is seen when they are copied.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, ...]] = {}

    def of(self, body: bytes, values: Any) -> tuple[int, ...] | None:
        """None where a list is within a row, or empty; ValueError where lists side by side differ."""
        skeleton = body.translate(None, NUMBERS)
        shape = self._known.get(skeleton)
        if shape is not None:
            return shape
        shape = _shape(values)
        if body.count(b"[") != _lists(shape):
            return None
        if len(skeleton) <= SKELETON:
            if len(self._known) >= SKELETONS:
                del self._known[next(iter(self._known))]
            self._known[skeleton] = shape
        return shape


def _shapes() -> _Shapes:
    if not hasattr(_local, "shapes"):
        _local.shapes = _Shapes()
    shapes: _Shapes = _local.shapes
    return shapes


def _plain(value: Any) -> Any:
    """A value of the document as Python's own."""
    match value:
        case simdjson.Array():
            return value.as_list()
        case simdjson.Object():
            return value.as_dict()
    return value


def _shape(values: Any) -> tuple[int, ...]:
    """Sizes of lists in lists; ValueError where lists side by side differ."""
    first = values[0]
    if not isinstance(first, simdjson.Array):
        return (len(values),)
    inner = _shape(first)
    if len(inner) == 1:
        regular = all(len(row) == inner[0] for row in values)
    else:
        regular = all(_shape(part) == inner for part in values)
    if not regular:
        raise ValueError("lists of different lengths side by side")
    return (len(values), *inner)


def _lists(shape: tuple[int, ...]) -> int:
    """How many lists a tensor of this shape is written with."""
    return sum(math.prod(shape[:depth]) for depth in range(len(shape)))


def _array(values: Any, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    """TypeError where a value is of another kind than the datatype, ValueError where some are missing."""
    target = DTYPES[datatype]
    if target.kind == "f":
        found = np.frombuffer(values.as_buffer(of_type="d"), np.float64)
    elif target.kind in "iu":
        found = np.frombuffer(values.as_buffer(of_type="i"), np.int64)
    else:
        raise TypeError(datatype)
    return fitting(found, target, "a value is out of range").reshape(shape)

"""Tensors as bytes: row-major, little-endian, as gRPC and the binary extension of HTTP carry them.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
and https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import struct

import numpy as np

from vaka.artifacts.manifest import Datatype
from vaka.artifacts.tensors import DTYPES, Array
from vaka.serving.errors import BadRequest


def from_raw(content: bytes | memoryview, datatype: Datatype, where: str) -> Array:
    """The flat array that the bytes hold; BadRequest where they are no whole number of elements."""
    if datatype == "BYTES":
        return texts(_split(bytes(content), where))
    dtype = DTYPES[datatype].newbyteorder("<")
    if len(content) % dtype.itemsize:
        raise BadRequest(f"{where}: {len(content)} raw bytes are no whole number of {datatype}")
    if datatype == "BOOL":
        return np.frombuffer(content, np.uint8).astype(np.bool_)
    return np.frombuffer(content, dtype).astype(DTYPES[datatype], copy=False)


def to_raw(array: Array, datatype: Datatype) -> bytes:
    """The bytes of an array; each element of BYTES is its length in four bytes, then itself."""
    if datatype != "BYTES":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    elements = (e if isinstance(e, bytes) else e.encode() for e in array.flat)
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def texts(values: list[bytes]) -> Array:
    """Strings as ONNX has them; what is not UTF-8, such as a picture, stays bytes."""
    elements = np.empty(len(values), dtype=object)
    elements[:] = [_text(value) for value in values]
    return elements


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _split(content: bytes, where: str) -> list[bytes]:
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

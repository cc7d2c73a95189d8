"""Requests as clients write them, thousands of different ones, and what is read from the answers.

All bodies of a protocol have the same length, and one hole at the same place: the first pixel, into which the
load generator writes a number, so that no body is ever sent twice.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from model import INPUT, NAME, SHAPE
from numpy.typing import NDArray

COUNT = 4096
"""Different bodies before the hole is filled."""
HEADER_LENGTH = "inference-header-content-length"

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How an image is asked about.

    Args:
        body: the body for an image [28, 28].
        head: bytes before the first pixel.
        hole: bytes of the first pixel.
        read: body and headers of an answer to its probabilities.
    """

    name: str
    path: str
    headers: dict[str, str]
    body: Callable[[Floats], bytes]
    head: int
    hole: int
    read: Callable[[bytes, Mapping[str, str]], Floats]

    def write(self, path: Path) -> None:
        """All bodies, one after the other."""
        path.write_bytes(b"".join(self.body(image) for image in images()))


@cache
def images() -> Floats:
    """[COUNT, 28, 28] with values of four decimals."""
    chance = np.random.default_rng(7)
    return (chance.integers(0, 10_000, (COUNT, *SHAPE[1:])) / 10_000).astype(np.float32)


def _digits(image: Floats) -> str:
    return ",".join(f"{value:.4f}" for value in image.flat)


V1_HEAD = b'{"instances":[[['


def _v1(image: Floats) -> bytes:
    rows = ",".join(f"[{_digits(row)}]" for row in image)
    return V1_HEAD[:-1] + rows.encode() + b"]]}"


def _read_v1(body: bytes, _: Mapping[str, str]) -> Floats:
    (row,) = json.loads(body)["predictions"]
    return np.array(row, np.float32)


_TENSOR = f'{{"inputs":[{{"name":"{INPUT}","shape":{json.dumps([1, *SHAPE])},"datatype":"FP32",'
V2_HEAD = f'{_TENSOR}"data":['.encode()


def _v2(image: Floats) -> bytes:
    return V2_HEAD + _digits(image).encode() + b"]}]}"


def _read_v2(body: bytes, _: Mapping[str, str]) -> Floats:
    (output,) = json.loads(body)["outputs"]
    return np.array(output["data"], np.float32).ravel()


_SIZE = 4 * int(np.prod(SHAPE))
BINARY_HEAD = (
    f'{_TENSOR}"parameters":{{"binary_data_size":{_SIZE}}}}}],"parameters":{{"binary_data_output":true}}}}'
).encode()


def _binary(image: Floats) -> bytes:
    return BINARY_HEAD + image.astype("<f4").tobytes()


def _read_binary(body: bytes, headers: Mapping[str, str]) -> Floats:
    return np.frombuffer(body[int(headers[HEADER_LENGTH]) :], "<f4")


JSON = {"content-type": "application/json"}
BYTES = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(BINARY_HEAD))}
INFER = f"/v2/models/{NAME}/infer"

V1 = Protocol(
    name="V1 JSON",
    path=f"/v1/models/{NAME}:predict",
    headers=JSON,
    body=_v1,
    head=len(V1_HEAD),
    hole=6,
    read=_read_v1,
)
V2 = Protocol(name="v2 JSON", path=INFER, headers=JSON, body=_v2, head=len(V2_HEAD), hole=6, read=_read_v2)
BINARY = Protocol(
    name="v2 binary",
    path=INFER,
    headers=BYTES,
    body=_binary,
    head=len(BINARY_HEAD),
    hole=4,
    read=_read_binary,
)

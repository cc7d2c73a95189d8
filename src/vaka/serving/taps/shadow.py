"""Shadowing: another model is asked the same, its answer is compared and counted, and never returned."""

from collections.abc import Mapping

import msgspec
import numpy as np

from vaka.artifacts.tensors import Array, known, reshaped
from vaka.serving import v2
from vaka.serving.options import DEFAULT_VERSION
from vaka.serving.raw import from_raw
from vaka.serving.taps.http import HttpTap
from vaka.serving.taps.tap import Count, Exchange

TOLERANCE = 1e-3
"""Relative and absolute: two builds of one model differ by less."""


class Shadow(HttpTap):
    """Asks the model of the same name at `url` (http://HOST:PORT): they "agree" or "disagree"."""

    def __init__(self, url: str, *, percent: float, count: Count) -> None:
        super().__init__(percent=percent, count=count)
        self._url = url.rstrip("/")

    def __str__(self) -> str:
        return f"the shadow at {self._url}"

    def offer(self, exchange: Exchange) -> None:
        """Only the version that a rollout would replace."""
        if exchange.version == DEFAULT_VERSION:
            super().offer(exchange)

    async def take(self, exchanges: list[Exchange]) -> list[str]:
        return ["agree" if agree(one.outputs, await self._ask(one)) else "disagree" for one in exchanges]

    async def _ask(self, exchange: Exchange) -> dict[str, Array]:
        body, length = encoded(exchange)
        headers = {v2.HEADER_LENGTH: str(length), "content-type": "application/octet-stream"}
        url = f"{self._url}/v2/models/{exchange.model}/infer"
        async with self._http.post(url, data=body, headers=headers) as answer:
            content = await answer.read()
            if answer.status != 200:
                raise ValueError(f"{answer.status}: {content[:200].decode(errors='replace')}")
            told = answer.headers.get(v2.HEADER_LENGTH)
            return decoded(content, int(told) if told else len(content))


def encoded(exchange: Exchange) -> tuple[bytes, int]:
    """The request with its tensors as bytes, whatever it came as, and how much of it is JSON."""
    pairs = [v2.as_bytes(name, array) for name, array in exchange.inputs.items()]
    inputs, tail = [tensor for tensor, _ in pairs], [content for _, content in pairs]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in exchange.outputs]
    header = msgspec.json.encode({"id": exchange.id, "inputs": inputs, "outputs": outputs})
    return b"".join([header, *tail]), len(header)


def decoded(content: bytes, length: int) -> dict[str, Array]:
    """The outputs of an answer whose first `length` bytes are JSON."""
    outputs = msgspec.json.decode(content[:length], type=_Answer).outputs
    arrays: dict[str, Array] = {}
    for output in outputs:
        size = output.parameters.binary_data_size or 0
        datatype = known(output.datatype, output.name)
        flat = from_raw(content[length : length + size], datatype, output.name)
        arrays[output.name] = reshaped(flat, output.shape, output.name)
        length += size
    return arrays


class _Answer(msgspec.Struct):
    outputs: list[v2.InputTensor]


def agree(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> bool:
    """Whether people would get the same: the same class, or about the same numbers where there are none."""
    if ours.keys() != theirs.keys():
        return False
    return all(_alike(array, theirs[name]) for name, array in ours.items())


def _alike(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool((a == b).all())
    if _are_probabilities(a) and _are_probabilities(b):
        return bool((a.argmax(-1) == b.argmax(-1)).all())
    return bool(np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _are_probabilities(array: Array) -> bool:
    """Rows of numbers that are not negative and add up to one."""
    rows = array.ndim == 2 and array.shape[1] > 1 and bool((array >= 0).all())
    return rows and bool(np.allclose(array.sum(1), 1, atol=TOLERANCE))

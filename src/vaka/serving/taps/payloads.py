"""Payload logging: requests and answers to a URL or to Kafka, as CloudEvents, or to S3, as lines of JSON.

Each is JSON of the Open Inference Protocol, by whatever protocol it came. Events have the types of KServe's
logger, so that what reads the one reads the other.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec

from vaka.artifacts.tensors import Array
from vaka.serving import v2
from vaka.serving.taps.http import HttpTap
from vaka.serving.taps.tap import Count, Exchange, Tap
from vaka.storage import put_bytes

Mode = Literal["all", "request", "response"]
EVENT = "org.kubeflow.serving.inference"
LINGER_S = 5.0
"""How long lines are gathered to one object."""


def parts(exchange: Exchange, mode: Mode) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is to be logged of an exchange: kind and content."""
    named = {"model_name": exchange.model, "model_version": exchange.version, "id": exchange.id}
    if mode in ("all", "request"):
        yield "request", named | {"inputs": _tensors(exchange.inputs)}
    if mode in ("all", "response"):
        yield "response", named | {"outputs": _tensors(exchange.outputs)}


def _tensors(arrays: Mapping[str, Array]) -> list[v2.OutputTensor]:
    return [v2.as_json(name, array) for name, array in arrays.items()]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def attributes(exchange: Exchange, kind: str) -> dict[str, str]:
    """What a CloudEvent says of itself. Source: https://github.com/cloudevents/spec, version 1.0."""
    return {
        "specversion": "1.0",
        "id": exchange.id,
        "source": f"/models/{exchange.model}/versions/{exchange.version}",
        "type": f"{EVENT}.{kind}",
        "time": _now(),
    }


class EventLog(HttpTap):
    """POSTs each as a CloudEvent (binary mode of its HTTP binding) to `url`."""

    def __init__(self, url: str, *, mode: Mode, percent: float, count: Count) -> None:
        super().__init__(percent=percent, count=count)
        self._url = url
        self._mode = mode

    def __str__(self) -> str:
        return f"the payload log at {self._url.partition('?')[0]}"

    async def take(self, exchanges: list[Exchange]) -> list[str]:
        for exchange in exchanges:
            for kind, content in parts(exchange, self._mode):
                await self._post(exchange, kind, content)
        return ["logged"] * len(exchanges)

    async def _post(self, exchange: Exchange, kind: str, content: dict[str, Any]) -> None:
        headers = {f"ce-{name}": value for name, value in attributes(exchange, kind).items()}
        headers["content-type"] = "application/json"
        async with self._http.post(self._url, data=msgspec.json.encode(content), headers=headers) as answer:
            if answer.status >= 300:
                raise ValueError(f"it answers {answer.status}")


class ObjectLog(Tap):
    """Stores what comes within a few seconds as one object of JSON lines below an s3:// or file:// URI."""

    together = 256

    def __init__(self, uri: str, *, mode: Mode, percent: float, count: Count) -> None:
        super().__init__(percent=percent, count=count)
        self._uri = uri.rstrip("/")
        self._mode = mode

    def __str__(self) -> str:
        return f"the payload log at {self._uri}"

    async def take(self, exchanges: list[Exchange]) -> list[str]:
        await self.ended(within=LINGER_S)
        exchanges += self._more()
        lines = [
            msgspec.json.encode({"time": _now(), "type": f"{EVENT}.{kind}", **content})
            for exchange in exchanges
            for kind, content in parts(exchange, self._mode)
        ]
        stamp = datetime.now(UTC)
        name = f"{stamp:%H%M%S}-{uuid4().hex[:12]}.jsonl"
        content, folder = b"\n".join([*lines, b""]), f"{self._uri}/{stamp:%Y-%m-%d}"
        await asyncio.to_thread(put_bytes, content, folder, name)
        return ["logged"] * len(exchanges)


def payload_log(uri: str, *, mode: Mode, percent: float, count: Count) -> Tap:
    """The log for this URI: http(s):// and kafka:// take events, anything else objects."""
    if uri.startswith("kafka://"):
        from vaka.serving.taps.kafka import KafkaLog  # most servers have no use for it

        return KafkaLog(uri, mode=mode, percent=percent, count=count)
    kind = EventLog if uri.startswith(("http://", "https://")) else ObjectLog
    return kind(uri, mode=mode, percent=percent, count=count)

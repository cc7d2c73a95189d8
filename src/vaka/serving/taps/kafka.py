"""Payload logging to Kafka, as CloudEvents in the binary mode of their Kafka binding.

Source: https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from urllib.parse import urlsplit

import msgspec
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

from vaka.serving.taps.payloads import Mode, attributes, parts
from vaka.serving.taps.tap import Count, Exchange, Tap

TIMEOUT_MS = 10_000


class KafkaLog(Tap):
    """Sends each to the topic of kafka://BROKER[,BROKER...]/TOPIC; request and answer have the same key."""

    together = 256

    def __init__(self, uri: str, *, mode: Mode, percent: float, count: Count) -> None:
        super().__init__(percent=percent, count=count)
        where = urlsplit(uri)
        self._brokers, self._topic = where.netloc, where.path.strip("/")
        self._mode = mode
        self._producer: AIOKafkaProducer | None = None

    def __str__(self) -> str:
        return f"the payload log at kafka://{self._brokers}/{self._topic}"

    async def take(self, exchanges: list[Exchange]) -> list[str]:
        producer = await self._started()
        sent = [
            await producer.send(
                self._topic,
                msgspec.json.encode(content),
                key=exchange.id.encode(),
                headers=[
                    ("content-type", b"application/json"),
                    *((f"ce_{name}", value.encode()) for name, value in attributes(exchange, kind).items()),
                ],
            )
            for exchange in exchanges
            for kind, content in parts(exchange, self._mode)
        ]
        for written in sent:
            await written
        return ["logged"] * len(exchanges)

    async def _started(self) -> AIOKafkaProducer:
        """Connected at the first use, and tried anew as long as no broker answers."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._brokers, enable_idempotence=True, request_timeout_ms=TIMEOUT_MS
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def __aexit__(self, *_: object) -> None:
        if self._producer:
            await self._producer.stop()

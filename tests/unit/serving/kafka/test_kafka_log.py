"""Payloads in a real broker's topic."""

import json
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from vaka.serving.taps.payloads import payload_log

PATH = "/v1/models/m:predict"
BRIGHT = {"instances": [[255] * 12]}

pytestmark = pytest.mark.timeout(300)


def logging_to(uri):
    return lambda metrics: [
        payload_log(uri, mode="all", percent=100, count=partial(metrics.tapped, "payloads"))
    ]


async def test_payloads_go_to_a_topic_as_events(serve, models, tmp_path: Path, kafka: str, counted):
    client = await serve(models.brightness(tmp_path / "model"), taps=logging_to(f"kafka://{kafka}/payloads"))
    await client.post(PATH, json=BRIGHT)
    await counted(client, 'vaka_server_payloads_total{result="logged"} 1.0')
    async with AIOKafkaConsumer("payloads", bootstrap_servers=kafka, auto_offset_reset="earliest") as reader:
        asked, answered = await reader.getone(), await reader.getone()
    assert dict(asked.headers)["ce_type"] == b"org.kubeflow.serving.inference.request"
    assert dict(answered.headers)["ce_type"] == b"org.kubeflow.serving.inference.response"
    assert asked.key == answered.key == dict(asked.headers)["ce_id"]
    assert json.loads(asked.value)["inputs"][0]["data"] == [255] * 12
    assert json.loads(answered.value)["outputs"][0]["name"] == "probabilities"


async def test_no_request_waits_for_a_broker_that_is_not_there(serve, models, tmp_path: Path, counted):
    client = await serve(models.brightness(tmp_path / "model"), taps=logging_to("kafka://127.0.0.1:1/t"))
    answer = await client.post(PATH, json=BRIGHT)
    assert answer.status_code == 200
    await counted(client, 'vaka_server_payloads_total{result="error"} 1.0')

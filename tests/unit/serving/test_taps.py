"""Shadows and payload logs, beside real servers."""

import asyncio
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vaka.artifacts.tensors import DTYPES
from vaka.serving.app import refusal
from vaka.serving.http import HttpServer
from vaka.serving.messages import Response
from vaka.serving.taps.payloads import payload_log
from vaka.serving.taps.shadow import Shadow, agree, decoded, encoded
from vaka.serving.taps.tap import WAITING, Exchange, Tap

BRIGHT = {"instances": [[255] * 12]}
PATH = "/v1/models/m:predict"


def shadowing(url):
    return lambda metrics: [Shadow(url, percent=100, count=partial(metrics.tapped, "shadow"))]


async def test_a_shadow_is_asked_the_same_and_compared(serve, models, tmp_path, counted):
    same = await serve(models.brightness(tmp_path / "same"))
    client = await serve(models.brightness(tmp_path / "model"), taps=shadowing(str(same.base_url)))
    await client.post(PATH, json=BRIGHT)
    await counted(client, 'vaka_server_shadow_comparisons_total{result="agree"} 1.0')
    assert (await client.get("/report")).json()["shadow"] == {"agreed": 1, "compared": 1}
    assert 'requests_total{code="200",protocol="v2"} 1.0' in (await same.get("/metrics")).text


async def test_a_shadow_that_says_something_else_disagrees(serve, models, tmp_path, counted):
    other = await serve(models.identity(tmp_path / "other.onnx"))
    client = await serve(models.doubled(tmp_path / "model.onnx"), taps=shadowing(str(other.base_url)))
    answer = await client.post(PATH, json={"instances": [[1, 2]]})
    assert answer.json() == {"predictions": [[2, 4]]}
    await counted(client, 'vaka_server_shadow_comparisons_total{result="disagree"} 1.0')


async def test_a_shadow_that_fails_harms_nobody(serve, models, tmp_path, caplog, counted):
    client = await serve(models.brightness(tmp_path / "model"), taps=shadowing("http://127.0.0.1:1"))
    for _ in range(3):
        assert (await client.post(PATH, json=BRIGHT)).status_code == 200
    await counted(client, 'vaka_server_shadow_comparisons_total{result="error"} 3.0')
    assert caplog.text.count("the shadow at http://127.0.0.1:1 fails") == 1


@given(st.data())
def test_what_a_shadow_is_sent_is_what_came_in(data):
    found = {}
    for name in ("x", "y"):
        datatype = data.draw(st.sampled_from(sorted(set(DTYPES) - {"BYTES"})))
        shape = data.draw(arrays.array_shapes(max_dims=3, max_side=3))
        found[name] = data.draw(arrays.arrays(DTYPES[datatype], shape))
    body, length = encoded(Exchange(model="m", version="1", inputs=found, outputs={}))
    header = json.loads(body[:length])
    answer = json.dumps({"outputs": header["inputs"]}).encode()
    again = decoded(answer + body[length:], len(answer))
    for name, array in found.items():
        np.testing.assert_array_equal(again[name], array, strict=True)


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        ([[0.6, 0.4]], [[0.9, 0.1]], True),
        ([[0.6, 0.4]], [[0.4, 0.6]], False),
        ([[6.0, 4.0]], [[9.0, 1.0]], False),
        ([[6.0, 4.0]], [[6.001, 4.0]], True),
        ([[np.nan]], [[np.nan]], True),
        ([[1.0]], [[1.0], [1.0]], False),
    ],
)
def test_models_agree_by_class_or_else_by_number(ours, theirs, alike):
    assert agree({"y": np.array(ours, np.float32)}, {"y": np.array(theirs, np.float32)}) is alike
    assert not agree({"y": np.array(ours)}, {"z": np.array(ours)})


@pytest.fixture
async def collector(listening):
    """A URL to post to, and what was posted."""
    posted = []

    async def collect(request):
        posted.append((request.headers, json.loads(request.body)))
        return Response(b"{}")

    async with listening(HttpServer(collect, refusal, max_body=10**6)) as port:
        yield f"http://127.0.0.1:{port}/events", posted


def logging_to(uri, mode="all"):
    return lambda metrics: [
        payload_log(uri, mode=mode, percent=100, count=partial(metrics.tapped, "payloads"))
    ]


async def test_payloads_go_to_a_url_as_events(serve, models, tmp_path, collector, counted):
    url, posted = collector
    client = await serve(models.brightness(tmp_path / "model"), taps=logging_to(url))
    await client.post(PATH, json=BRIGHT)
    await counted(client, 'vaka_server_payloads_total{result="logged"} 1.0')
    (asked, request), (_, response) = posted
    assert asked[b"ce-type"] == b"org.kubeflow.serving.inference.request"
    assert asked[b"ce-id"].decode() == request["id"] == response["id"]
    assert request["inputs"][0]["data"] == [255] * 12
    assert response["outputs"][0]["name"] == "probabilities"


async def test_only_what_is_wanted_is_logged(serve, models, tmp_path, collector, counted):
    url, posted = collector
    client = await serve(models.brightness(tmp_path / "model"), taps=logging_to(url, "response"))
    await client.post(PATH, json=BRIGHT)
    await counted(client, 'vaka_server_payloads_total{result="logged"} 1.0')
    assert ["outputs" in content for _, content in posted] == [True]


async def test_payloads_go_to_a_folder_as_lines_before_the_server_ends(serve, models, tmp_path):
    made = []

    def taps(metrics):
        made.extend(logging_to(f"file://{tmp_path}/log")(metrics))
        return made

    client = await serve(models.brightness(tmp_path / "model"), taps=taps)
    for _ in range(3):
        await client.post(PATH, json=BRIGHT)
    await made[0].finish()
    (file,) = tmp_path.glob("log/*/*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["type"].rpartition(".")[2] for line in lines] == ["request", "response"] * 3


class Stuck(Tap):
    async def take(self, _):
        await asyncio.Event().wait()
        return []


async def test_what_a_tap_cannot_keep_up_with_is_dropped():
    told = []
    tap = Stuck(percent=100, count=told.append)
    for _ in range(WAITING + 3):
        tap.offer(Exchange(model="m", version="1", inputs={}, outputs={}))
    assert told == ["dropped"] * 3


async def test_a_share_is_taken_by_chance():
    tap = Stuck(percent=10, count=lambda _: None)
    for _ in range(1000):
        tap.offer(Exchange(model="m", version="1", inputs={}, outputs={}))
    assert 50 < tap._waiting.qsize() < 170

import asyncio
import gzip
import json
import zlib

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

GOOD = {"instances": [[0] * 12]}


@pytest.fixture
async def client(serve, models, tmp_path) -> httpx.AsyncClient:
    return await serve(models.brightness(tmp_path / "model"), max_body=1000)


async def samples(client):
    text = (await client.get("/metrics")).text
    return {
        (s.name, *sorted(s.labels.values())): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }


async def test_a_ready_model_says_so_everywhere(client):
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v1/models/m"):
        assert (await client.get(path)).status_code == 200, path
    assert (await client.get("/v1/models")).json() == {"models": ["m"]}
    assert (await client.get("/v1/models/m")).json() == {"name": "m", "ready": True}


async def test_the_report_names_digest_and_metrics(client):
    report = (await client.get("/report")).json()
    assert report["reason"] == "Ready"
    assert report["model"]["digest"].startswith("sha256:")
    assert report["model"]["metrics"] == [{"name": "accuracy", "value": "1"}]


async def test_metadata_tells_the_signature(client):
    for path in ("/v2/models/m", "/v2/models/m/versions/1"):
        metadata = (await client.get(path)).json()
        assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 3, 4]}]
        assert metadata["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}]
    assert (await client.get("/v2")).json()["name"] == "vaka"


async def test_the_index_leads_to_every_url(client):
    for name, url in (await client.get("/")).json()["urls"].items():
        method, status = ("POST", 400) if name in ("predict", "infer") else ("GET", 200)
        assert (await client.request(method, url)).status_code == status, url


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v2/models/m/infer", 405),
        ("POST", "/v1/models/other:predict", 404),
        ("GET", "/v1/models/other", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/m/versions/2", 404),
        ("POST", "/v2/models/m/versions/2/infer", 404),
    ],
)
async def test_what_is_not_there_is_an_error_in_json(client, method, path, status):
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_a_body_over_the_limit_is_refused(client):
    answer = await client.post("/v1/models/m:predict", content=b" " * 1001)
    assert answer.status_code == 413
    assert "larger than the 1000 bytes" in answer.json()["error"]


async def test_so_is_one_that_does_not_say_its_length(client):
    async def chunks():
        for _ in range(20):
            yield b" " * 100

    assert (await client.post("/v2/models/m/infer", content=chunks())).status_code == 413


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_bodies_are_read(client, encoding, pack):
    content, headers = pack(json.dumps(GOOD).encode()), {"content-encoding": encoding}
    answer = await client.post("/v1/models/m:predict", content=content, headers=headers)
    assert answer.json() == (await client.post("/v1/models/m:predict", json=GOOD)).json()


@pytest.mark.parametrize(
    ("encoding", "content", "status", "said"),
    [
        ("br", b"x", 415, "content-encoding br is not read: send gzip, deflate, identity"),
        ("gzip", b"no gzip at all", 400, "the body is no gzip"),
        ("gzip", gzip.compress(b"{}")[:-4], 400, "the body is no whole gzip"),
        ("gzip", gzip.compress(b" " * 1001), 413, "the unpacked body is larger than the 1000 bytes"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(client, encoding, content, status, said):
    headers = {"content-encoding": encoding}
    answer = await client.post("/v1/models/m:predict", content=content, headers=headers)
    assert answer.status_code == status
    assert said in answer.json()["error"]


async def test_large_answers_are_compressed_for_who_accepts_it(serve, models, tmp_path):
    client = await serve(models.brightness(tmp_path / "model"))
    body = {"instances": [[0] * 12] * 500}
    packed = await client.post("/v1/models/m:predict", json=body)
    plain = await client.post("/v1/models/m:predict", json=body, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


async def test_the_api_is_described_for_machines_and_for_people(client):
    described = (await client.get("/openapi.json")).json()
    assert {"/v1/models/m:predict", "/v2/models/m/infer"} <= described["paths"].keys()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            answer = await client.request(method.upper(), path, json=body.get("example"))
            assert answer.status_code == 200, path
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/models/m:predict" in page.text


async def test_versions_are_served_side_by_side(serve, models, tmp_path):
    wide = models.brightness(tmp_path / "wide", width=5)
    client = await serve(models.brightness(tmp_path / "model"), versions={"wide": wide})
    assert (await client.get("/v2/models/m")).json()["versions"] == ["1", "wide"]
    for version, width in (("1", 4), ("wide", 5)):
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, 3, width], "data": [9] * 3 * width}
        answer = await client.post(f"/v2/models/m/versions/{version}/infer", json={"inputs": [tensor]})
        assert answer.json()["model_version"] == version
    assert (await client.post("/v2/models/m/infer", json={"inputs": [tensor]})).status_code == 400
    wrong = await client.get("/v2/models/m/versions/other")
    assert wrong.json()["error"] == "model 'm' has no version 'other': known are 1, wide"


async def test_a_version_that_is_not_there_keeps_the_server_unready_and_is_named(serve, models, tmp_path):
    versions = {"next": tmp_path / "none"}
    client = await serve(models.brightness(tmp_path / "model"), versions=versions, wait=False)
    while (report := (await client.get("/report")).json())["reason"] != "ModelNotFound":
        await asyncio.sleep(0.01)
    assert report["message"].startswith("version next: ")
    assert (await client.get("/v2/health/ready")).status_code == 503
    assert (await client.post("/v1/models/m:predict", json=GOOD)).status_code == 200


async def test_head_is_get_without_a_body(client):
    answer = await client.head("/v2/health/ready")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_requests_are_counted_by_protocol_and_code(client):
    await client.post("/v1/models/m:predict", json=GOOD)
    await client.post("/v1/models/m:predict", content=b"")
    await client.post("/v2/models/other/infer", json={})
    found = await samples(client)
    assert found["vaka_server_requests_total", "200", "v1"] == 1
    assert found["vaka_server_requests_total", "400", "v1"] == 1
    assert found["vaka_server_requests_total", "404", "v2"] == 1
    assert found["vaka_server_request_duration_seconds_count", "v1"] == 2
    assert found[("vaka_server_inference_duration_seconds_count",)] == 1
    assert found[("vaka_server_requests_in_flight",)] == 0
    assert [value for key, value in found.items() if key[0] == "vaka_server_model_info"] == [1]


async def test_before_the_model_is_there_everything_says_why(serve, tmp_path):
    client = await serve(tmp_path / "none", wait=False)
    while (await client.get("/report")).json()["reason"] == "LoadingModel":
        await asyncio.sleep(0)
    assert (await client.get("/v2/health/live")).status_code == 200
    ready = await client.get("/v2/health/ready")
    assert ready.status_code == 503
    assert ready.json()["reason"] == "ModelNotFound"
    for answer in (
        await client.post("/v1/models/m:predict", json=GOOD),
        await client.post("/v2/models/m/infer", json={}),
        await client.get("/v2/models/m"),
    ):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "ModelNotFound" in answer.json()["error"]
    assert (await client.get("/v1/models/m")).json() == {"name": "m", "ready": False}

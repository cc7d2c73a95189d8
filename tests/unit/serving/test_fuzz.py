"""Nothing that can be sent is an error of the server, or makes it grow.

VAKA_FUZZ=100000 is the full trial.
"""

import asyncio
import json
import os
import random

import pytest

from vaka.serving.app import App, refusal
from vaka.serving.batcher import BatchPolicy
from vaka.serving.board import Board
from vaka.serving.columns import COLUMNS
from vaka.serving.holder import ModelHolder
from vaka.serving.http import HttpServer
from vaka.serving.metrics import Metrics
from vaka.serving.options import ModelSource
from vaka.serving.repository import Repository

BODIES = int(os.environ.get("VAKA_FUZZ", "3000"))
V1 = {"instances": [[0.5, 1], [2, 3]]}
V2 = {
    "id": "7",
    "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
    "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
}
RAW = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}]}
PIECES = [
    b"null",
    b"-1",
    b"1e999",
    b"[]",
    b"{}",
    b'"',
    b"[[",
    b"]",
    b"NaN",
    b"\xff",
    b"true",
    b'"BYTES"',
    b"9" * 40,
]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A few bytes cut out, repeated, turned, or replaced by what JSON is made of."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(found) + 1), chance.randrange(8)
        match chance.randrange(4):
            case 0:
                del found[at : at + length]
            case 1:
                found[at:at] = found[at : at + length]
            case 2:
                found[at : at + length] = chance.choice(PIECES)
            case 3:
                found[at : at + 1] = chance.randbytes(1)
    return bytes(found)


def request(chance: random.Random) -> bytes:
    """A bad request, more or less."""
    headers = ""
    if (form := chance.randrange(3)) == 0:
        path, body = "/v1/models/m:predict", mutated(json.dumps(V1).encode(), chance)
    elif form == 1:
        path, body = "/v2/models/m/infer", mutated(json.dumps(V2).encode(), chance)
    else:
        head = mutated(json.dumps(RAW).encode(), chance)
        path, body = "/v2/models/m/infer", head + chance.randbytes(chance.choice([0, 7, 8, 9]))
        headers = f"Inference-Header-Content-Length: {chance.choice([len(head), len(body) + 1, 0, 'x'])}\r\n"
    if chance.random() < 0.1:
        headers += f"Content-Encoding: {chance.choice(['gzip', 'deflate', 'br', ''])}\r\n"
    return f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(3600)
async def test_no_body_is_an_error_of_the_server_or_makes_it_grow(models, tmp_path, listening):
    metrics = Metrics(Board(rows=1, columns=COLUMNS), 0, lambda: repository.info())
    source = ModelSource(name="m", uri=str(models.doubled(tmp_path / "model.onnx")))
    repository = Repository([ModelHolder(source, tmp_path, BatchPolicy(), metrics.batch)])
    await repository.keep_loading()
    app = App(repository, metrics, is_ready=lambda: repository.ready, max_body=10_000)
    async with listening(HttpServer(app, refusal, max_body=10_000)) as port:
        await flooded(*await asyncio.open_connection("127.0.0.1", port))


async def flooded(reader, writer):
    chance, statuses, before = random.Random(0), set(), 0
    for number in range(BODIES):
        sent = request(chance)
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        status = int(head.split()[1])
        assert status < 500, sent
        statuses.add(status)
        if number == BODIES // 10:
            before = resident()
    assert {200, 400} <= statuses <= {200, 400, 415}
    assert resident() < before + 16 * 2**20
    writer.close()

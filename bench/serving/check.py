"""Whether a server gives the right numbers, asked by several clients at once so that batches are made."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from bodies import Floats, Protocol, images
from model import SHAPE
from processes import HOST, Running, ask

CLIENTS = 16
EACH = 8
TOLERANCE = 1e-4


@cache
def expected(model: Path) -> Floats:
    """Probabilities [CLIENTS * EACH, 10] of the first images, by ONNX Runtime itself, one by one."""
    from onnxruntime import InferenceSession

    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    pixels = images()[: CLIENTS * EACH].reshape(-1, 1, *SHAPE)
    rows: Floats = np.concatenate(
        [session.run(None, {session.get_inputs()[0].name: one})[0] for one in pixels]
    )
    return rows


def check(name: str, server: Running, path: str, protocol: Protocol, model: Path) -> None:
    """SystemExit where one answer is not 200 or has other numbers than ONNX Runtime."""
    right = expected(model)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        for i in range(number * EACH, (number + 1) * EACH):
            status, headers, body = ask(connection, path, protocol, protocol.body(images()[i]))
            if status != 200:
                raise SystemExit(f"{name} answers {protocol.name} with {status}: {body[:500]!r}")
            found = protocol.read(body, headers)
            if found.shape != right[i].shape or not np.allclose(found, right[i], atol=TOLERANCE):
                raise SystemExit(f"{name} answers {protocol.name} wrongly: {found}, not {right[i]}")
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))

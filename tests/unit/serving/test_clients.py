"""Clients that others wrote understand the server, and it them: Triton's and KServe's."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-clients/bin/python"

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def addresses(models, tmp_path_factory):
    """HTTP URL and gRPC address of a server of the brightness model, called m."""
    model = models.brightness(tmp_path_factory.mktemp("served") / "model")
    command = [sys.executable, "-m", "vaka.cli", "serve", "--model", str(model), "--name", "m"]
    command += ["--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--drain-seconds", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = (json.loads(line)["msg"] for line in server.stderr)
            listening = [next(line for line in said if f"listening on {s}" in line) for s in ("http", "grpc")]
            url, address = (line.split()[2].rstrip(",") for line in listening)
            while httpx.get(f"{url}/v2/health/ready").status_code != 200:
                assert server.poll() is None
            yield url, address.removeprefix("grpc://")
        finally:
            server.terminate()
            server.communicate()


@pytest.fixture
def ask(addresses):
    def through(client):
        command = [str(PYTHON), str(Path(__file__).parent / "clients/ask.py"), *addresses, client]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr[-3000:]
        return json.loads(answer.stdout.splitlines()[-1])

    return through


def test_tritons_http_client_infers_in_every_form(ask):
    told = ask("triton-http")
    assert [told[name] for name in ("live", "ready", "model", "version")] == [True] * 4
    assert told["extensions"] == ["binary_tensor_data"]
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 3, 4]}]
    forms = {name: found for name, found in told.items() if name.startswith("infer")}
    assert len(forms) == 4
    assert list(forms.values()) == [[1, 0]] * 4
    assert told["id"] == "7"
    assert told["error"] == ["404", "no model 'other' is served here, only 'm'"]


def test_tritons_grpc_client_infers(ask):
    told = ask("triton-grpc")
    assert told.pop("error") == ["StatusCode.NOT_FOUND", "no model 'other' is served here, only 'm'"]
    assert told == {
        "live": True,
        "ready": True,
        "model": True,
        "metadata": "image",
        "infer": [1, 0],
        "id": "7",
    }


def test_kserves_client_infers_by_every_protocol(ask):
    told = ask("kserve")
    assert [one["label"] for one in told.pop("v1")["predictions"]] == ["bright", "dark"]
    for name in ("v2 True", "v2 False", "grpc True", "grpc False"):
        assert told.pop(name) == [1, 0]
    assert set(told.values()) == {True}


def test_what_the_api_description_says_holds(addresses):
    """Schemathesis asks what the document allows, and what it does not."""
    url, _ = addresses
    command = [str(PYTHON.with_name("schemathesis")), "run", f"{url}/openapi.json", "--seed", "1"]
    command += ["--checks", CHECKS, "--max-examples", "40", "--no-color", "--generation-database", "none"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-5000:]


CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "unsupported_method",
    ]
)

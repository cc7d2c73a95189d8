"""The server as a process of its own, asked over loopback."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from vaka import storage
from vaka.artifacts.read import digest_at
from vaka.serving.pb import open_inference_pb2 as pb

BRIGHT = {"instances": [[255] * 12]}

pytestmark = pytest.mark.usefixtures("own_scratch")


class Server:
    """A running `vaka serve` and a client of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict[str, str]] = []
        assert process.stderr
        for line in process.stderr:
            self.log.append(json.loads(line))
            if "listening on http" in line:
                break
        url = self.log[-1]["msg"].split()[2].rstrip(",")
        self.client = httpx.Client(base_url=url)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr:
            self.log += map(json.loads, self.process.stderr)

    def children(self) -> list[int]:
        """Its processes that serve."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def report(self) -> dict[str, str]:
        return self.client.get("/report").json()

    def await_reason(self, reason: str) -> dict[str, str]:
        while (report := self.report())["reason"] != reason:
            assert self.process.poll() is None
        return report

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, once it has ended and all of its log is read."""
        code = self.process.wait(20)
        self._reader.join()
        self.client.close()
        return code


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts `vaka serve` on a free port; what still runs at the end is ended."""
    servers: list[Server] = []

    def serve(model: Path | str, *more: str, **env: str) -> Server:
        command = [sys.executable, "-m", "vaka.cli", "serve", "--model", str(model), "--name", "m"]
        command += ["--host", "127.0.0.1", "--http-port", "0", *more]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
        servers.append(Server(process))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop(signal.SIGKILL)


def test_it_predicts_and_stops_with_zero(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--drain-seconds", "0")
    server.await_reason("Ready")
    answer = server.client.post("/v1/models/m:predict", json=BRIGHT)
    assert answer.json()["predictions"][0]["label"] == "bright"
    assert server.stop() == 0
    assert server.log[-1]["msg"].endswith("goodbye")


def test_whoever_asks_while_a_prompt_model_is_loaded_finds_it_ready(start, models, web):
    models.identity(web.folder / "m.onnx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asking: list[socket.socket] = []

    def ask() -> None:
        asking.append(socket.create_connection(("127.0.0.1", port)))
        asking[-1].sendall(b"GET /v2/health/ready HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n")

    def ready() -> bool:
        url = f"{web.url}/m.onnx"
        server = start(url, "--http-port", str(port), "--processes", "2", "--drain-seconds", "0")
        answers = [connection.makefile().readline() for connection in asking]
        for connection in asking:
            connection.close()
        asking.clear()
        assert server.stop() == 0
        return set(answers) == {"HTTP/1.1 200 OK\n"}

    web.before = ask
    assert any(ready() for _ in range(9))  # a busy machine may be too slow for some


def test_each_processor_has_a_process_and_they_count_together(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--processes", "3", "--drain-seconds", "0")
    server.await_reason("Ready")
    for _ in range(20):  # each on a connection of its own: the kernel chooses the process
        httpx.post(f"{server.client.base_url}/v1/models/m:predict", json=BRIGHT).raise_for_status()
    assert 'requests_total{code="200",protocol="v1"} 20.0' in server.client.get("/metrics").text
    assert len(server.children()) == 3
    assert server.stop() == 0


def test_it_goes_over_to_the_engine_that_won_and_answers_the_same(start, models, tmp_path):
    server = start(models.convolutions(tmp_path / "g.onnx", side=28, filters=32), "--processes", "2")
    server.await_reason("Ready")
    body = {"instances": np.random.default_rng(0).uniform(0, 255, (2, 3, 28, 28)).tolist()}
    answers = [server.client.post("/v1/models/m:predict", json=body).json()["predictions"]]
    while sum("engine:" in line["msg"] for line in server.log) < 2:
        answers.append(server.client.post("/v1/models/m:predict", json=body).json()["predictions"])
    won = next(line["msg"].split()[1] for line in server.log if "engine:" in line["msg"]).rstrip(",")
    while f'engine="{won}"' not in server.client.get("/metrics").text:
        answers.append(server.client.post("/v1/models/m:predict", json=body).json()["predictions"])
    np.testing.assert_allclose(answers, [answers[0]] * len(answers), rtol=1e-3, atol=0.01)
    assert server.stop() == 0


def connections(server: Server) -> dict[int, int]:
    """How many connections each of its processes has, those that it has not closed yet among them."""
    port = f":{server.client.base_url.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(port)}
    return {pid: sum(os.readlink(fd) in ours for fd in _files(pid)) for pid in server.children()}


def _files(pid: int) -> Iterator[Path]:
    return (fd for fd in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(fd))


def test_connections_are_shared_out_evenly_whichever_of_them_end(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--processes", "2", "--drain-seconds", "0")
    clients = [httpx.Client(base_url=server.client.base_url) for _ in range(8)]
    for client in clients:
        client.get("/v2/health/live")
    assert sorted(connections(server).values()) == [4, 4]
    for client in clients[::2]:  # all of one process: they were shared out in turn
        client.close()
    while sum(connections(server).values()) != 4:
        pass
    for number in range(0, 8, 2):
        clients[number] = httpx.Client(base_url=server.client.base_url)
        clients[number].get("/v2/health/live")
    assert sorted(connections(server).values()) == [4, 4]
    for client in clients:
        client.close()
    assert server.stop() == 0


def test_there_may_be_more_connections_than_a_shell_allows_files(start, models, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        server = start(models.brightness(tmp_path / "model"), "--processes", "1", "--drain-seconds", "0")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(httpx.Client(base_url=server.client.base_url))
            assert client.get("/v2/health/live").status_code == 200
    assert server.stop() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_who_comes_while_a_killed_process_is_replaced_is_answered(start, models, tmp_path, processes):
    server = start(models.brightness(tmp_path / "model"), "--processes", processes, "--drain-seconds", "0")
    server.await_reason("Ready")
    server.client.close()  # its process may be the one
    before, url = server.children(), str(server.client.base_url)
    os.kill(before[0], signal.SIGKILL)
    while not set(server.children()) - set(before):
        assert httpx.get(f"{url}/v2/health/ready").status_code == 200
    for _ in range(20):
        assert httpx.post(f"{url}/v1/models/m:predict", json=BRIGHT).status_code == 200
    assert server.stop() == 0


def test_who_takes_anothers_place_tries_no_other_engine(start, models, tmp_path):
    server = start(models.convolutions(tmp_path / "g.onnx"), "--processes", "1")
    server.await_reason("Ready")
    while not any("engine:" in line["msg"] for line in server.log):
        assert server.report()["reason"] == "Ready"
    server.client.close()
    before, url = server.children(), server.client.base_url
    os.kill(before[0], signal.SIGKILL)
    while not set(server.children()) - set(before):
        pass
    assert 'engine="onnxruntime"' in httpx.get(f"{url}/metrics").text
    assert server.stop() == 0
    assert sum("engine:" in line["msg"] for line in server.log) == 1


def test_no_process_is_left_when_the_first_one_is_killed(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--processes", "2", "--drain-seconds", "3600")
    children = server.children()
    server.stop(signal.SIGKILL)
    assert len(children) == 2
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        pass


def test_a_port_that_another_server_has_is_an_error(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"))
    command = [sys.executable, "-m", "vaka.cli", "serve", "--model", str(tmp_path), "--host", "127.0.0.1"]
    port = str(server.client.base_url.port)
    second = subprocess.run([*command, "--http-port", port], capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in second.stderr


def test_ctrl_c_does_not_wait_for_anyone(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--drain-seconds", "3600")
    server.await_reason("Ready")
    assert server.stop(signal.SIGINT) == 0


@contextmanager
def load(server: Server, threads: int = 4) -> Iterator[list[int]]:
    """Clients that ask without a pause for as long as the server is ready, as behind a Service."""
    statuses: list[int] = []
    go_on = threading.Event()
    go_on.set()

    def ask() -> None:
        with httpx.Client(base_url=server.client.base_url) as client:
            while go_on.is_set():
                statuses.append(client.post("/v1/models/m:predict", json=BRIGHT).status_code)

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    try:
        yield statuses
    finally:
        go_on.clear()
        for thread in asking:
            thread.join()


def test_no_request_is_lost_while_it_drains(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--drain-seconds", "2")
    server.await_reason("Ready")
    with load(server) as statuses:
        while len(statuses) < 50:
            pass
        server.process.send_signal(signal.SIGTERM)
        while server.client.get("/v2/health/ready").status_code == 200:
            pass
        seen = len(statuses)
        while len(statuses) < seen + 20:
            pass
    assert set(statuses) == {200}
    assert server.wait() == 0


def accepts(url: httpx.URL) -> bool:
    try:
        socket.create_connection((url.host, url.port)).close()
    except ConnectionError:
        return False
    return True


def test_a_request_in_flight_is_answered_before_it_goes(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--drain-seconds", "0", "--processes", "1")
    server.await_reason("Ready")
    body = json.dumps(BRIGHT).encode()
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\n\r\n"
    url = server.client.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(head.encode() + body[:5])
        server.client.get("/v2/health/live")  # what came before it has been read
        server.process.send_signal(signal.SIGTERM)
        while accepts(url):
            pass
        connection.sendall(body[5:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    assert server.wait() == 0


def test_a_wrong_digest_is_told_and_heals_when_the_right_model_appears(start, models, tmp_path):
    right = models.brightness(tmp_path / "right", width=4)
    models.brightness(tmp_path / "model", width=5)
    server = start(tmp_path / "model", "--digest", digest_at(right))
    report = server.await_reason("DigestMismatch")
    assert digest_at(right) in report["message"]
    assert server.client.get("/v2/health/ready").status_code == 503
    assert server.client.get("/v2/health/live").status_code == 200
    shutil.rmtree(tmp_path / "model")
    right.rename(tmp_path / "model")
    server.await_reason("Ready")
    assert server.client.get("/v2/health/ready").status_code == 200


def test_a_corrupt_model_is_told_and_heals(start, models, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"not yet")
    server = start(tmp_path / "net.onnx")
    assert "cannot be loaded as ONNX" in server.await_reason("ModelInvalid")["message"]
    models.identity(tmp_path / "other.onnx").rename(tmp_path / "net.onnx")
    server.await_reason("Ready")


def test_an_unreachable_storage_is_told(start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": endpoint}
    server = start("s3://bucket/model", "--drain-seconds", "0", **keys)
    assert endpoint in server.await_reason("StorageUnreachable")["message"]
    assert server.stop() == 0


def test_grpc_is_served_beside_http_if_asked(start, models, tmp_path):
    server = start(models.brightness(tmp_path / "model"), "--grpc-port", "0", "--drain-seconds", "0")
    server.await_reason("Ready")
    address = next(line["msg"] for line in server.log if "grpc://" in line["msg"]).partition("grpc://")[2]
    with grpc.insecure_channel(address) as channel:
        ready = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerReady",
            pb.ServerReadyRequest.SerializeToString,
            pb.ServerReadyResponse.FromString,
        )
        assert ready(pb.ServerReadyRequest()).ready
    assert server.stop() == 0


@pytest.mark.api
def test_a_model_is_served_once_it_is_in_s3(start, models, tmp_path, bucket):
    folder = models.brightness(tmp_path / "model")
    server = start(f"s3://{bucket}/models/shades", "--digest", digest_at(folder), "--drain-seconds", "0")
    assert f"s3://{bucket}/models/shades" in server.await_reason("ModelNotFound")["message"]
    storage.put_folder(folder, f"s3://{bucket}/models/shades", last="manifest.json")
    server.await_reason("Ready")
    answer = server.client.post("/v1/models/m:predict", json=BRIGHT)
    assert answer.json()["predictions"][0]["label"] == "bright"
    assert server.stop() == 0

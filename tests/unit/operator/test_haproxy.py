"""The router's configuration, taken by a real HAProxy."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaka.api.contract import ADMIN_PORT, GRPC_PORT, HTTP_PORT
from vaka.api.router import CLAIM, HEADER_NAME, HEADER_VALUE, HeaderMatch, RouterSpec
from vaka_operator.manifests import access, haproxy
from vaka_operator.status.routers import RouterState, load_of

JSON = dict[str, Any]
TOKEN = {"authorization": "Bearer operator"}
DIGEST = hashlib.sha256(b"Bearer operator").hexdigest()
Start = Callable[..., Awaitable["Router"]]

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="there is no haproxy: apt-get install it")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, each another one."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in found]


def free_port() -> int:
    return free_ports(1)[0]


class Backend:
    """A pod in place of a real one: it answers with its name, or not at all."""

    def __init__(self, name: str, port: int | None = None) -> None:
        self.name = name
        self.port = port or free_port()
        self.requests = 0
        self.dies = False
        """It closes the connection instead of answering, like a process that is killed."""
        self.delay = 0.0
        self.status = 200

    async def __aenter__(self) -> "Backend":
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(length[1]) if length else 0)
                is_probe = b"/v2/health" in head
                self.requests += not is_probe
                if self.dies and not is_probe:
                    return
                await asyncio.sleep(0 if is_probe else self.delay)
                body = self.name.encode()
                status = 200 if is_probe else self.status
                head = b"HTTP/1.1 %d Some\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
                writer.write(head + body)
                await writer.drain()


class Router:
    """HAProxy with a rendered configuration, its ports moved to free ones of the loopback device."""

    def __init__(self, folder: Path, given: haproxy.Settings, *, percent: int, ports: dict[str, int]) -> None:
        self.public, self.admin, grpc = free_ports(3)
        text = haproxy.configuration(given)
        moved = {
            f"bind :{HTTP_PORT}": f"bind 127.0.0.1:{self.public}",
            f"bind :{GRPC_PORT}": f"bind 127.0.0.1:{grpc}",
            f"bind :{ADMIN_PORT}": f"bind 127.0.0.1:{self.admin}",
            "predictor.test:80": f"127.0.0.1:{ports['predictor']}",
            "canary.test:80": f"127.0.0.1:{ports['canary']}",
            "addr canary.test port 80": f"addr 127.0.0.1 port {ports['canary']}",
            ".test:9000": ".invalid:9000",
            "predictor.invalid": "127.0.0.1",
            "canary.invalid": "127.0.0.1",
            "abns@": f"abns@{uuid4().hex[:8]}-",
            "/tmp/": f"{folder}/",
            "/etc/vaka": str(folder),
        }
        for here, there in moved.items():
            text = text.replace(here, there)
        (folder / "haproxy.cfg").write_text(text)
        (folder / "state.cfg").write_text(haproxy.initial_state(percent))
        self.command = ["haproxy", "-f", str(folder / "haproxy.cfg"), "-f", str(folder / "state.cfg"), "-db"]
        self.log = folder / "log"

    def check(self) -> str:
        """What HAProxy has to say against it."""
        done = subprocess.run([*self.command, "-c", "-q"], capture_output=True, text=True, check=False)
        return done.stderr if done.returncode or "WARNING" in done.stderr else ""

    def start(self) -> None:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 10
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{self.admin}/healthz").raise_for_status()
                return
            time.sleep(0.02)
        pytest.fail(self.log.read_text())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.public}", timeout=20, **options)

    def state(self, method: str = "GET", query: str = "") -> RouterState:
        answer = httpx.request(method, f"http://127.0.0.1:{self.admin}/state{query}", headers=TOKEN)
        return msgspec.json.decode(answer.content, type=RouterState)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Router] = []

    async def make(
        *,
        predictor: int,
        canary: int | None = None,
        percent: int = 0,
        headers: list[HeaderMatch] | None = None,
        hold_s: int = 10,
        **router: Any,
    ) -> Router:
        given = haproxy.Settings(
            router=msgspec.convert(router, RouterSpec),
            predictor="predictor.test",
            canary="canary.test" if canary else None,
            headers=headers or [],
            hold_s=hold_s,
            token_digest=DIGEST,
        )
        ports = {"predictor": predictor, "canary": canary or 1}
        made = Router(tmp_path, given, percent=percent, ports=ports)
        await asyncio.to_thread(made.start)  # checks are answered meanwhile
        running.append(made)
        return made

    yield make
    for router in running:
        router.stop()


@pytest.fixture
async def predictor() -> AsyncIterator[Backend]:
    async with Backend("predictor") as backend:
        yield backend


@pytest.fixture
async def canary() -> AsyncIterator[Backend]:
    async with Backend("canary") as backend:
        yield backend


async def asked(router: Router, times: int, **request: Any) -> list[httpx.Response]:
    async with router.client() as client:
        return [await client.post("/v1/models/m:predict", content=b"{}", **request) for _ in range(times)]


async def answers(router: Router, times: int, **request: Any) -> dict[str, int]:
    found = [response.text for response in await asked(router, times, **request)]
    return {word: found.count(word) for word in set(found)}


auth = st.one_of(
    st.none(),
    st.just({"apiKeys": {"secretRef": {"name": "s"}}}),
    st.fixed_dictionaries(
        {"secretRef": st.just({"name": "s"}), "algorithm": st.sampled_from(["RS256", "ES384", "HS512"])},
        optional={"issuer": st.from_regex(CLAIM, fullmatch=True), "audience": st.just("https://a.example/b")},
    ).map(lambda jwt: {"jwt": jwt}),
)
routers = st.fixed_dictionaries(
    {},
    optional={
        "auth": auth,
        "tls": st.just({"secretRef": {"name": "s"}}),
        "maxRequestSize": st.sampled_from(["1Ki", "4Mi", 100, "1e6"]),
        "rateLimit": st.integers(1, 10**6).map(lambda n: {"requestsPerSecond": n}),
        "bufferSize": st.sampled_from(["16Ki", "64Ki", "1Mi"]),
    },
)
matches = st.builds(
    HeaderMatch,
    name=st.from_regex(HEADER_NAME, fullmatch=True),
    value=st.from_regex(HEADER_VALUE, fullmatch=True),
)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of all Secrets that a router may need."""
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("api-keys", "jwt", "tls"):
        (folder / name).mkdir()
    (folder / "api-keys/keys").write_text("first\nsecond\n")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", str(folder / "tls/tls.key"), "-out", str(folder / "tls/tls.crt")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    public = [
        "openssl",
        "rsa",
        "-in",
        str(folder / "tls/tls.key"),
        "-pubout",
        "-out",
        str(folder / "jwt/key"),
    ]
    subprocess.run(public, check=True, capture_output=True)
    return folder


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(routers, st.lists(matches, max_size=8), st.booleans(), st.integers(0, 100), st.integers(1, 3600))
def test_haproxy_takes_every_configuration(
    secrets: Path,
    router: JSON,
    headers: list[HeaderMatch],
    has_canary: bool,
    percent: int,
    timeout_s: int,
) -> None:
    given = haproxy.Settings(
        router=msgspec.convert(router, RouterSpec),
        predictor="predictor.test",
        canary="canary.test" if has_canary else None,
        headers=headers,
        timeout_s=timeout_s,
        hold_s=30,
        token_digest=DIGEST,
    )
    assert Router(secrets, given, percent=percent, ports={"predictor": 1, "canary": 2}).check() == ""


async def test_a_request_waits_for_a_pod_that_comes_later(start: Start) -> None:
    port = free_port()
    router = await start(predictor=port)
    waiting = asyncio.create_task(answers(router, 1))
    while sum((state := router.state()).predictor.waiting) == 0:
        await asyncio.sleep(0.05)
    load = load_of({"a": state})
    assert load is not None
    assert load.in_flight == 1
    async with Backend("late", port):
        assert await waiting == {"late": 1}


async def test_a_request_that_waited_too_long_is_told_to_come_again(start: Start) -> None:
    router = await start(predictor=free_port(), hold_s=1)
    (response,) = await asked(router, 1)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "no pod took this request" in response.json()["error"]


async def test_a_pod_that_dies_before_it_answers_loses_no_request(start: Start, predictor: Backend) -> None:
    router = await start(predictor=predictor.port)
    assert await answers(router, 3) == {"predictor": 3}
    predictor.dies = True
    waiting = asyncio.create_task(answers(router, 1))
    while predictor.requests < 4:
        await asyncio.sleep(0.001)
    predictor.dies = False
    assert await waiting == {"predictor": 1}


async def test_a_request_that_kills_its_pods_reaches_three_and_no_more(
    start: Start, predictor: Backend
) -> None:
    router = await start(predictor=predictor.port)
    predictor.dies = True
    (response,) = await asked(router, 1)
    assert (response.status_code, predictor.requests) == (502, 1 + haproxy.RESENT)


async def test_the_canary_gets_the_part_that_the_operator_says(
    start: Start, predictor: Backend, canary: Backend
) -> None:
    router = await start(predictor=predictor.port, canary=canary.port, percent=0)
    assert await answers(router, 50) == {"predictor": 50}
    assert router.state("PUT", "?canary=30").canary_percent == 30
    assert 60 < (await answers(router, 400))["canary"] < 180
    assert router.state("PUT", "?canary=100").canary_percent == 100
    assert await answers(router, 50) == {"canary": 50}


async def test_headers_choose_the_canary_whatever_its_part(
    start: Start, predictor: Backend, canary: Backend
) -> None:
    headers = [HeaderMatch("x-variant", "b"), HeaderMatch("x-team", "vision and sound")]
    router = await start(predictor=predictor.port, canary=canary.port, headers=headers)
    both = {"x-variant": "b", "x-team": "vision and sound"}
    assert await answers(router, 20, headers=both) == {"canary": 20}
    assert await answers(router, 20, headers={"x-variant": "b"}) == {"predictor": 20}
    (response,) = await asked(router, 1, headers=both)
    assert response.headers["vaka-component"] == "canary"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_a_canary_that_is_ready_counts_as_such_for_either_protocol(
    start: Start, predictor: Backend, canary: Backend, protocol: str
) -> None:
    router = await start(predictor=predictor.port, canary=canary.port)
    passed = f'haproxy_server_check_status{{proxy="canary-{protocol}",server="pods",state="L7OK"}} 1'
    async with asyncio.timeout(10), httpx.AsyncClient() as client:
        while passed not in (await client.get(f"http://127.0.0.1:{router.admin}/metrics")).text:
            await asyncio.sleep(0.05)


async def test_a_canary_that_is_gone_loses_nothing(start: Start, predictor: Backend) -> None:
    async with Backend("canary") as canary:
        router = await start(predictor=predictor.port, canary=canary.port, percent=100)
        assert await answers(router, 5) == {"canary": 5}
        canary.dies = True
    found = await answers(router, 20)
    assert found == {"predictor": 20}


async def test_only_the_operator_reads_and_sets_the_state(start: Start, predictor: Backend) -> None:
    router = await start(predictor=predictor.port, canary=predictor.port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{router.admin}") as client:
        for headers in ({}, {"authorization": "Bearer other"}):
            assert (await client.put("/state?canary=100", headers=headers)).status_code == 401
            assert (await client.get("/state", headers=headers)).status_code == 401
        assert "haproxy_backend_http_responses_total" in (await client.get("/metrics")).text
    assert router.state().canary_percent == 0


async def test_idle_time_counts_from_the_last_request(start: Start, predictor: Backend) -> None:
    router = await start(predictor=predictor.port)
    while router.state().idle_seconds < 2:
        await asyncio.sleep(0.05)
    await answers(router, 1)
    assert router.state().idle_seconds < 2


async def test_api_keys_are_asked_for(start: Start, predictor: Backend, tmp_path: Path) -> None:
    (tmp_path / "api-keys").mkdir()
    (tmp_path / "api-keys/keys").write_text("first\nsecond\n")
    router = await start(predictor=predictor.port, auth={"apiKeys": {"secretRef": {"name": "s"}}})
    assert await answers(router, 1, headers={"authorization": "Bearer second"}) == {"predictor": 1}
    for wrong in ({}, {"authorization": "Bearer third"}, {"authorization": "Basic second"}):
        (response,) = await asked(router, 1, headers=wrong)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


def token(folder: Path, *, algorithm: str, **claims: Any) -> str:
    """A JSON Web Token: of the private key in the folder, or of the secret `shared`."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    head = part(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    signed = f"{head}.{part(json.dumps(claims).encode())}"
    if algorithm == "HS256":
        return f"{signed}.{part(hmac.digest(b'shared', signed.encode(), 'sha256'))}"
    command = ["openssl", "dgst", "-sha256", "-sign", str(folder / "tls/tls.key")]
    return f"{signed}.{part(subprocess.run(command, input=signed.encode(), capture_output=True).stdout)}"


@pytest.mark.parametrize("algorithm", ["RS256", "HS256"])
async def test_a_token_must_be_signed_and_hold(
    start: Start,
    predictor: Backend,
    secrets: Path,
    tmp_path: Path,
    algorithm: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(secrets / "jwt", tmp_path / "jwt")
    monkeypatch.setenv(access.JWT_ENV, "shared")
    jwt = {"secretRef": {"name": "s"}, "algorithm": algorithm, "issuer": "https://me", "audience": "you"}
    router = await start(predictor=predictor.port, auth={"jwt": jwt})
    now = int(time.time())
    claims = {"iss": "https://me", "aud": "you", "exp": now + 60}

    async def status(algorithm: str = algorithm, **changed: Any) -> int:
        given = token(secrets, algorithm=algorithm, **claims | changed)
        (response,) = await asked(router, 1, headers={"authorization": f"Bearer {given}"})
        return response.status_code

    assert await status() == 200
    assert await status(nbf=now - 60) == 200
    wrong = ({"iss": "other"}, {"aud": "other"}, {"exp": now - 60}, {"exp": None}, {"nbf": now + 60})
    assert [await status(**claim) for claim in wrong] == [401] * len(wrong)
    other = "HS256" if algorithm == "RS256" else "RS256"
    assert await status(other) == 401
    assert (await asked(router, 1, headers={"authorization": "Bearer a.b.c"}))[0].status_code == 401
    assert (await asked(router, 1))[0].status_code == 401


async def test_a_client_that_sends_too_much_is_told_to_wait(start: Start, predictor: Backend) -> None:
    router = await start(predictor=predictor.port, rateLimit={"requestsPerSecond": 5})
    found = await asked(router, 30)
    limited = [response for response in found if response.status_code == 429]
    assert limited
    assert limited[0].headers["retry-after"] == "1"
    assert found[0].status_code == 200


async def test_a_body_that_is_too_large_is_refused(start: Start, predictor: Backend) -> None:
    router = await start(predictor=predictor.port, maxRequestSize="1Ki")
    async with router.client() as client:
        assert (await client.post("/", content=b"x" * 1024)).status_code == 200
        large = await client.post("/", content=b"x" * 1025)
        assert (large.status_code, large.json()["error"]) == (413, "the body may have 1024 bytes at most")

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"

        assert (await client.post("/", content=chunks())).status_code == 411


async def test_what_comes_in_plain_text_to_a_tls_port_is_not_answered(
    start: Start, predictor: Backend, secrets: Path, tmp_path: Path
) -> None:
    shutil.copytree(secrets / "tls", tmp_path / "tls")
    router = await start(predictor=predictor.port, tls={"secretRef": {"name": "s"}})
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{router.public}", verify=False) as client:
        assert (await client.post("/", content=b"{}")).text == "predictor"
    with pytest.raises(httpx.HTTPError):
        await asked(router, 1)


async def test_answers_and_errors_are_counted_for_each_component(start: Start, predictor: Backend) -> None:
    async with Backend("canary") as canary:
        router = await start(predictor=predictor.port, canary=canary.port, percent=100)
        assert await answers(router, 4) == {"canary": 4}
        canary.status = 500
        canary.delay = 0.05
        await asked(router, 3)
        found = router.state()
    assert (found.canary.answers, found.canary.errors) == (7, 3)
    assert 150 <= found.canary.milliseconds < 2000
    assert found.predictor.answers == 0


SCRIPT = Path(__file__).parents[3] / "images" / "router" / "run.sh"


async def test_changed_keys_are_read_without_a_lost_request_and_the_end_is_a_clean_one(
    predictor: Backend, tmp_path: Path
) -> None:
    def mount(version: str, keys: str) -> None:
        """As a kubelet does: the files are links into a folder that is replaced as a whole."""
        (tmp_path / "api-keys" / version).mkdir(parents=True)
        (tmp_path / "api-keys" / version / "keys").write_text(keys)
        (tmp_path / "api-keys/next").symlink_to(version)
        (tmp_path / "api-keys/next").rename(tmp_path / "api-keys/..data")

    mount("..1", "first\n")
    (tmp_path / "api-keys/keys").symlink_to("..data/keys")
    auth = msgspec.convert({"auth": {"apiKeys": {"secretRef": {"name": "s"}}}}, RouterSpec)
    given = haproxy.Settings(router=auth, predictor="predictor.test", hold_s=10, token_digest=DIGEST)
    router = Router(tmp_path, given, percent=0, ports={"predictor": predictor.port, "canary": 1})
    (tmp_path / "config").mkdir()
    for name in ("haproxy.cfg", "state.cfg"):
        (tmp_path / name).rename(tmp_path / "config" / name)
    moved = {"/etc/vaka": str(tmp_path), "/tmp/haproxy": f"{tmp_path}/haproxy", "sleep 5": "sleep 0.1"}
    script = SCRIPT.read_text()
    for here, there in moved.items():
        script = script.replace(here, there)
    router.command = ["sh", "-c", script]
    await asyncio.to_thread(router.start)
    try:
        async with router.client(headers={"authorization": "Bearer second"}) as client:
            assert (await client.post("/", content=b"{}")).status_code == 401
            mount("..2", "first\nsecond\n")
            known = {"authorization": "Bearer first"}
            async with asyncio.timeout(20):
                while (await client.post("/", content=b"{}")).status_code == 401:
                    assert (await client.post("/", content=b"{}", headers=known)).status_code == 200
        router.process.terminate()
        assert await asyncio.to_thread(router.process.wait, 20) == 0
    finally:
        os.killpg(router.process.pid, signal.SIGKILL)
        router.process.wait()

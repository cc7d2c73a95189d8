"""Downloads that are cut, stalled, killed, and whose source changes, from real servers on this machine."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vaka import storage

MB = 1_000_000


class Source:
    """A web server of one file that can be as bad as the real ones."""

    def __init__(self) -> None:
        self.content = random.Random(1).randbytes(3 * MB)
        self.etag: str | None = '"one"'
        self.ranges = True
        self.cut_after: list[int] = []
        """Bytes after which the next answers break off."""
        self.stall = False
        """Whether an answer that breaks off leaves the connection open."""
        self.sent = 0
        self.before_answer: Callable[[int], None] = lambda _: None
        """Told the number of each request, from 1."""
        self.requests = 0
        self.released = threading.Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        self.before_answer(self.requests)
        content, etag = self.content, self.etag
        if handler.headers["If-Match"] not in (None, etag):
            handler.send_response(412)
            handler.send_header("Content-Length", "0")
            return handler.end_headers()
        asked = handler.headers["Range"] if self.ranges else None
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if etag:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        end = start + self.cut_after.pop(0) if self.cut_after else len(content)
        handler.wfile.write(content[start:end])
        self.sent += len(content[start:end])
        if end < len(content):
            if self.stall:
                self.released.wait(30)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            source.answer(self)

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    source.url = f"http://127.0.0.1:{server.server_port}/m.onnx"  # type: ignore[attr-defined]
    yield source
    source.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(source: Source, into: Path) -> bytes:
    return storage.fetch(source.url, into).read_bytes()  # type: ignore[attr-defined]


def test_a_transfer_that_is_cut_goes_on_where_it_was(tmp_path: Path, source: Source) -> None:
    source.cut_after = [300_000] * 9
    assert fetched(source, tmp_path) == source.content
    assert source.sent < 3.7 * MB
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_a_server_that_falls_silent_is_asked_again(tmp_path: Path, source: Source) -> None:
    source.cut_after, source.stall = [MB], True
    assert fetched(source, tmp_path) == source.content
    assert source.sent < 3.2 * MB


@pytest.mark.parametrize(("ranges", "etag"), [(False, '"one"'), (True, None), (True, 'W/"weak"')])
def test_where_nothing_can_be_gone_on_with_it_is_begun_anew(
    tmp_path: Path, source: Source, ranges: bool, etag: str | None
) -> None:
    source.ranges, source.etag, source.cut_after = ranges, etag, [MB, 2 * MB]
    assert fetched(source, tmp_path) == source.content


@pytest.mark.parametrize("size", [3 * MB, 2 * MB, 500_000])
def test_two_versions_are_never_mixed(tmp_path: Path, source: Source, size: int) -> None:
    def change(request: int) -> None:
        if request == 2:
            source.content, source.etag = random.Random(2).randbytes(size), '"two"'

    source.cut_after, source.before_answer = [MB, MB], change
    assert fetched(source, tmp_path) == source.content


def test_what_changes_again_and_again_is_told(tmp_path: Path, source: Source) -> None:
    def change(request: int) -> None:
        source.etag = f'"{request}"'

    source.cut_after, source.before_answer = [MB] * 99, change
    with pytest.raises(storage.Unreachable, match=r"m.onnx has changed while it was read, again and again"):
        fetched(source, tmp_path)
    assert not (tmp_path / "m.onnx").exists()


def test_a_transfer_that_was_given_up_is_gone_on_with_later(tmp_path: Path, source: Source) -> None:
    source.cut_after = [MB] + [0] * 20
    with pytest.raises(storage.Unreachable):
        fetched(source, tmp_path)
    source.cut_after = []
    assert fetched(source, tmp_path) == source.content
    assert source.sent < 3.2 * MB


def test_a_transfer_whose_process_is_killed_is_gone_on_with(tmp_path: Path, source: Source) -> None:
    program = "import sys; from pathlib import Path; from vaka import storage; " + (
        "storage.fetch(sys.argv[1], Path(sys.argv[2]))"
    )
    source.cut_after, source.stall = [2 * MB], True
    argv = [sys.executable, "-c", program, source.url, str(tmp_path)]  # type: ignore[attr-defined]
    process = subprocess.Popen(argv)
    new = tmp_path / ".m.onnx.partial" / "new"
    while not (new.exists() and new.stat().st_size > 1.5 * MB):
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert fetched(source, tmp_path) == source.content
    assert source.sent < 3.6 * MB


def test_bytes_from_before_a_crash_of_the_machine_are_not_trusted(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.cut_after = [MB] + [0] * 20
    with pytest.raises(storage.Unreachable):
        fetched(source, tmp_path)
    source.cut_after = []
    (tmp_path / "boot").write_text("another boot")
    monkeypatch.setattr("vaka.storage.transfer.BOOT", tmp_path / "boot")
    (tmp_path / ".m.onnx.partial" / "new").write_bytes(bytes(MB))
    assert fetched(source, tmp_path) == source.content


def test_progress_counts_bytes_and_room_is_made_for_what_is_missing(tmp_path: Path, source: Source) -> None:
    seen: list[tuple[int, int]] = []
    needed: list[int] = []
    source.cut_after = [MB] + [0] * 20
    with pytest.raises(storage.Unreachable):
        fetched(source, tmp_path)
    source.cut_after = []
    storage.fetch(
        source.url,  # type: ignore[attr-defined]
        tmp_path,
        progress=lambda done, total: seen.append((done, total)),
        make_room=needed.append,
    )
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {3 * MB}
    assert seen[-1] == (3 * MB, 3 * MB)
    assert 2 * MB <= needed[0] < 2.2 * MB


@pytest.mark.api
def test_a_folder_in_s3_comes_whole_over_a_network_that_cuts(
    tmp_path: Path, bucket: str, cutting: Callable[[int], None]
) -> None:
    source = tmp_path / "source"
    for number in range(5):
        path = source / f"deep/{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(number).randbytes(2 * MB))
    storage.put_folder(source, f"s3://{bucket}/m", last="deep/0.bin")
    cutting(700_000)
    got = storage.fetch(f"s3://{bucket}/m", tmp_path / "into")
    assert [p.read_bytes() for p in sorted(got.rglob("*.bin"))] == [
        p.read_bytes() for p in sorted(source.rglob("*.bin"))
    ]


@pytest.mark.api
def test_objects_without_an_etag_are_read_too(tmp_path: Path, bucket: str, gateway: tuple[str, Path]) -> None:
    (gateway[1] / bucket / "m").mkdir()
    (gateway[1] / bucket / "m" / "a.bin").write_bytes(b"put there behind the server's back")
    got = storage.fetch(f"s3://{bucket}/m", tmp_path / "into")
    assert (got / "a.bin").read_bytes() == b"put there behind the server's back"


@pytest.mark.api
def test_an_object_in_s3_that_changes_while_it_is_read_comes_in_its_new_version(
    tmp_path: Path, bucket: str, cutting: Callable[[int], None]
) -> None:
    (tmp_path / "source").mkdir()
    old, new = random.Random(1).randbytes(2 * MB), random.Random(2).randbytes(2 * MB)
    file = tmp_path / "source" / "m.bin"
    file.write_bytes(old)
    storage.put_folder(file.parent, f"s3://{bucket}/m", last="m.bin")
    changed = False

    def change(done: int, _: int) -> None:
        nonlocal changed
        if done > 500_000 and not changed:
            changed = True
            file.write_bytes(new)
            storage.put_folder(file.parent, f"s3://{bucket}/m", last="m.bin")

    cutting(900_000)
    got = storage.fetch(f"s3://{bucket}/m", tmp_path / "into", progress=change)
    assert (got / "m.bin").read_bytes() == new

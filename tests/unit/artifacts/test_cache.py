"""Several processes, one disk: who downloads, who waits, what is removed, and what a kill leaves."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vaka import storage
from vaka.artifacts.cache import ModelCache
from vaka.artifacts.errors import DigestMismatch
from vaka.artifacts.manifest import MANIFEST, File, Manifest, Signature, digest_of, encode
from vaka.artifacts.publish import files_of

pytestmark = pytest.mark.api
Stored = Callable[..., tuple[str, str]]
SIZE = 300_000


@pytest.fixture
def stored(tmp_path: Path, bucket: str) -> Stored:
    """Puts a model of its own for each name into S3; URI and digest."""

    def put(name: str = "m") -> tuple[str, str]:
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(name.encode() * SIZE)
        files: dict[str, File] = files_of(folder)
        signature = Signature(inputs=[], outputs=[])
        manifest = encode(
            Manifest(name=name, architecture="cnn", task="tensor", signature=signature, files=files)
        )
        (folder / MANIFEST).write_bytes(manifest)
        storage.put_folder(folder, f"s3://{bucket}/{name}", last=MANIFEST)
        return f"s3://{bucket}/{name}", digest_of(manifest)

    return put


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(folder=tmp_path / "cache")


def got(cache: ModelCache, model: tuple[str, str]) -> bytes:
    """The model's graph, and that it is the right one."""
    with cache.held(*model) as (path, manifest):
        assert digest_of((path / MANIFEST).read_bytes()) == model[1]
        content = (path / "model.onnx").read_bytes()
        assert content == manifest.name.encode() * SIZE
    return content


def cached(cache: ModelCache) -> list[str]:
    """Digests of the models that are there."""
    return sorted(p.name.replace("-", ":") for p in cache.folder.iterdir() if p.name.startswith("sha256-"))


def test_what_is_there_is_not_downloaded_again(cache: ModelCache, stored: Stored) -> None:
    model = stored()
    got(cache, model)
    storage.remove(model[0])
    got(cache, model)
    assert {p.name for p in cache.folder.iterdir()} == {
        model[1].replace(":", "-"),
        f".{model[1].replace(':', '-')}.lock",
    }


def test_one_downloads_and_the_others_wait(
    cache: ModelCache, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, digest = stored()
    fetched, waiting, results = [], threading.Semaphore(0), []
    fetch = storage.fetch

    def slow(*arguments: object, **options: object) -> Path:
        fetched.append(arguments)
        for _ in range(3):
            assert waiting.acquire(timeout=10)
        return fetch(*arguments, **options)  # type: ignore[arg-type]

    def hold() -> None:
        with cache.held(uri, digest, waiting=waiting.release) as (path, _):
            results.append(path)

    monkeypatch.setattr(storage, "fetch", slow)
    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(fetched), len(results), len(set(results))) == (1, 4, 1)


def test_a_damaged_model_is_downloaded_again(cache: ModelCache, stored: Stored) -> None:
    model = stored()
    got(cache, model)
    (file,) = cache.folder.rglob("model.onnx")
    file.write_bytes(b"x" * file.stat().st_size)
    got(cache, model)
    file.unlink()
    got(cache, model)


def test_a_model_of_another_digest_is_not_taken(cache: ModelCache, stored: Stored) -> None:
    uri, _ = stored()
    with pytest.raises(DigestMismatch), cache.held(uri, "sha256:" + "0" * 64):
        pass
    assert cached(cache) == []
    assert list(cache.folder.rglob("model.onnx")) == []


def test_what_was_used_longest_ago_makes_room_unless_it_is_in_use(tmp_path: Path, stored: Stored) -> None:
    cache = ModelCache(folder=tmp_path / "cache", limit=int(3.5 * SIZE))
    a, b, c, d = (stored(name) for name in "abcd")
    with cache.held(*a):
        for model in (b, c, b, d):
            got(cache, model)
        assert cached(cache) == sorted([a[1], b[1], d[1]])


def test_a_model_that_is_larger_than_the_cache_is_told(tmp_path: Path, stored: Stored) -> None:
    cache = ModelCache(folder=tmp_path / "cache", limit=SIZE // 2)
    with pytest.raises(storage.StorageError, match=r"may take 0 MB in all: make the cache larger"):
        got(cache, stored())


KILLED = """
import os, shutil, signal, sys, threading
from pathlib import Path
from vaka.artifacts.cache import ModelCache

uri, digest, folder, stride = *sys.argv[1:4], int(sys.argv[4])
cache = ModelCache(folder=Path(folder))

def hold(killed_at):
    lines = 0
    def trace(frame, event, _):
        nonlocal lines
        if not any(part in frame.f_code.co_filename for part in ("vaka/artifacts", "vaka/storage")):
            return None
        lines += event == "line"
        if lines == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    threading.settrace(trace)
    sys.settrace(trace)
    with cache.held(uri, digest):
        pass

def child(killed_at):
    if not (pid := os.fork()):
        try:
            hold(killed_at)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

kills = 0
while (code := child(1 + kills * stride)) == -signal.SIGKILL:
    kills += 1
    after = child(-1)
    assert after == 0, f"killed at line {1 + kills * stride}: {after}"
    for graph in cache.folder.rglob("model.onnx"):
        graph.write_bytes(b"damaged")  # the next one begins with that
    if kills % 2:
        shutil.rmtree(cache.folder)
assert code == 0, code
print(kills)
"""


def test_a_kill_at_any_line_leaves_nothing_that_is_taken_for_the_model(
    cache: ModelCache, stored: Stored
) -> None:
    uri, digest = stored()
    argv = [sys.executable, "-c", KILLED, uri, digest, str(cache.folder), "7"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
    got(cache, (uri, digest))

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vaka import storage


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def filled(folder: Path) -> Path:
    for name in ("a.bin", "deep/er/b.bin", "manifest.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_local_path_is_given_back_uncopied(tmp_path: Path, prefix: str) -> None:
    assert storage.fetch(f"{prefix}{tmp_path}", tmp_path / "into") == tmp_path
    assert not (tmp_path / "into").exists()


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(storage.NotFound, match=r"file:///no/such: there is no /no/such"):
        storage.fetch("file:///no/such", tmp_path)


def test_a_file_uri_with_two_slashes_is_refused() -> None:
    with pytest.raises(storage.StorageError, match="file:///models/m"):
        storage.local_path("file://models/m")


def test_a_file_uri_may_be_percent_encoded() -> None:
    assert storage.local_path("file:///a%20b") == Path("/a b")


@pytest.mark.parametrize("uri", ["ftp://host/x", "pvc://claim/x", "://"])
def test_other_schemes_are_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(storage.StorageError, match="give a path, file://, s3:// or https://"):
        storage.fetch(uri, tmp_path)
    with pytest.raises(storage.StorageError, match="give file:// or s3://"):
        storage.put_folder(filled(tmp_path / "f"), uri, last="manifest.json")


def test_plain_http_is_only_for_this_machine(tmp_path: Path) -> None:
    with pytest.raises(storage.StorageError, match="give https://"):
        storage.fetch("http://example.invalid/m.onnx", tmp_path)


def test_a_file_is_downloaded_from_the_web(tmp_path: Path, web: Any) -> None:
    url, folder = web.url, web.folder
    (folder / "a b.onnx").write_bytes(b"graph")
    got = storage.fetch(f"{url}/a%20b.onnx?signature=secret", tmp_path / "into")
    assert got == tmp_path / "into" / "a b.onnx"
    assert files(tmp_path / "into") == {"a b.onnx": b"graph"}


def test_a_missing_web_page_is_not_found_and_its_query_not_shown(tmp_path: Path, web: Any) -> None:
    with pytest.raises(storage.NotFound) as told:
        storage.fetch(f"{web.url}/m.onnx?signature=secret", tmp_path / "into")
    assert f"{web.url}/m.onnx" in str(told.value)
    assert "secret" not in str(told.value)
    assert list((tmp_path / "into").iterdir()) == []


def test_a_failed_download_leaves_the_former_one(tmp_path: Path, web: Any) -> None:
    url, folder = web.url, web.folder
    (folder / "m").write_bytes(b"first")
    storage.fetch(f"{url}/m", tmp_path / "into")
    (folder / "m").unlink()
    with pytest.raises(storage.NotFound):
        storage.fetch(f"{url}/m", tmp_path / "into")
    assert files(tmp_path / "into") == {"m": b"first"}


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """URL of a server that gives one raw answer and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(raw)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_a_broken_transfer_is_told(tmp_path: Path) -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") as url,
        pytest.raises(storage.Unreachable, match="broke off during the transfer"),
    ):
        storage.fetch(f"{url}/m", tmp_path)
    assert not (tmp_path / "m").exists()


def test_what_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 8796093022208\r\n\r\n") as url,
        pytest.raises(storage.StorageError, match=r"8796093 MB and .* free: make room"),
    ):
        storage.fetch(f"{url}/huge", tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_an_endpoint_that_refuses_fails_fast_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    start = time.monotonic()
    with pytest.raises(storage.Unreachable) as told:
        storage.fetch("s3://models/cnn", tmp_path)
    assert time.monotonic() - start < 5
    assert f"s3://models/cnn (endpoint {endpoint}) cannot be reached: connection refused" in str(told.value)
    assert "the-" not in str(told.value)


def test_no_credentials_name_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        metadata = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", metadata)
    with pytest.raises(storage.Denied, match="no credentials: check AWS_ACCESS_KEY_ID"):
        storage.fetch("s3://models/cnn", tmp_path)


def test_a_folder_is_put_into_a_folder(tmp_path: Path) -> None:
    source = filled(tmp_path / "source")
    storage.put_folder(source, f"file://{tmp_path}/to", last="manifest.json")
    assert files(tmp_path / "to") == files(source)


def test_the_last_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(storage.StorageError, match=r"manifest\.json is missing"):
        storage.put_folder(tmp_path, f"file://{tmp_path}/to", last="manifest.json")


def test_the_last_file_is_not_written_when_another_fails(tmp_path: Path) -> None:
    source = filled(tmp_path / "source")
    (tmp_path / "to" / "a.bin").mkdir(parents=True)
    with pytest.raises(OSError, match=r"a\.bin"):
        storage.put_folder(source, f"file://{tmp_path}/to", last="manifest.json")
    assert "manifest.json" not in files(tmp_path / "to")


@pytest.mark.api
def test_a_folder_goes_to_s3_and_back(tmp_path: Path, bucket: str) -> None:
    source = filled(tmp_path / "source")
    storage.put_folder(source, f"s3://{bucket}/models/cnn", last="manifest.json")
    got = storage.fetch(f"s3://{bucket}/models/cnn/", tmp_path / "into")
    assert got == tmp_path / "into" / "cnn"
    assert files(got) == files(source)


@pytest.mark.api
def test_one_object_is_a_file_and_a_bucket_a_folder(tmp_path: Path, bucket: str) -> None:
    source = filled(tmp_path / "source")
    storage.put_folder(source, f"s3://{bucket}", last="manifest.json")
    one = storage.fetch(f"s3://{bucket}/deep/er/b.bin", tmp_path / "into")
    assert (one.name, one.read_bytes()) == ("b.bin", b"deep/er/b.bin")
    assert files(storage.fetch(f"s3://{bucket}", tmp_path / "into")) == files(source)


@pytest.mark.api
def test_a_second_download_replaces_the_first(tmp_path: Path, bucket: str, gateway: tuple[str, Path]) -> None:
    source = filled(tmp_path / "source")
    storage.put_folder(source, f"s3://{bucket}/m", last="manifest.json")
    storage.fetch(f"s3://{bucket}/m", tmp_path / "into")
    (gateway[1] / bucket / "m" / "a.bin").unlink()
    storage.fetch(f"s3://{bucket}/m", tmp_path / "into")
    assert set(files(tmp_path / "into")) == {"m/deep/er/b.bin", "m/manifest.json"}


@pytest.mark.api
def test_what_is_not_in_s3_is_not_found(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(storage.NotFound, match=f"{bucket}/none-such .*404"):
        storage.fetch(f"s3://{bucket}/none-such", tmp_path / "into")
    with pytest.raises(storage.NotFound, match="NoSuchBucket"):
        storage.fetch("s3://no-such-bucket/x", tmp_path / "into")


@pytest.mark.api
def test_wrong_credentials_are_denied_and_not_shown(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(storage.Denied, match="SignatureDoesNotMatch") as told:
        storage.fetch(f"s3://{bucket}/x", tmp_path / "into")
    assert "AWS_SECRET_ACCESS_KEY" in str(told.value)
    assert not {"the-key", "another-secret"} & set(str(told.value).replace("'", " ").split())


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_what_was_put_is_listed_and_removed(tmp_path: Path, bucket: str, kind: str) -> None:
    uri = f"s3://{bucket}/runs/a" if kind == "s3" else (tmp_path / "runs/a").as_uri()
    assert storage.names(uri) == []
    storage.put_folder(filled(tmp_path / "new"), uri, last="manifest.json")
    assert storage.names(uri) == ["a.bin", "deep/er/b.bin", "manifest.json"]
    for _ in range(2):
        storage.remove(uri, first="manifest.json")
    assert storage.names(uri) == []


@pytest.mark.parametrize("uri", ["", ".", "keep", "file://keep", "file:///", "s3://bucket", "s3://bucket/"])
def test_what_is_no_folder_of_ones_own_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    (tmp_path / "keep").mkdir()
    monkeypatch.chdir(tmp_path / "keep")
    for wrong in (uri, tmp_path.as_uri(), (tmp_path / "keep").as_uri()):
        with pytest.raises(storage.StorageError):
            storage.remove(wrong)
    assert (tmp_path / "keep").exists()

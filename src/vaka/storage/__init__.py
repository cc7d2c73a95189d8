"""Storage URIs to local files and back: file://, s3:// and https://, with bounded timeouts.

Access to S3 comes from the usual environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and,
for a server other than Amazon's, AWS_ENDPOINT_URL. An endpoint that cannot be reached fails within ten
seconds; a transfer may take as long as it needs while bytes keep coming.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from vaka.storage.errors import Denied, NotFound, StorageError, Unreachable
from vaka.storage.remote import READ_SILENCE, WRITE_SILENCE, s3, web

PARALLEL = 8

__all__ = [
    "Denied",
    "NotFound",
    "StorageError",
    "Unreachable",
    "fetch",
    "local_path",
    "names",
    "put_folder",
    "remove",
]


def fetch(uri: str, into: Path) -> Path:
    """The file or folder that `uri` names, on local disk.

    A path or file:// URI is given back as it is, uncopied. Anything else is downloaded to `into/NAME`,
    where NAME is the last part of the URI: s3://BUCKET/PREFIX is a folder of all objects under the prefix,
    or one object of just that key; https://HOST/PATH is one file. It appears whole, by rename, and replaces
    a former download. Only one process at a time may use `into`.
    """
    scheme = uri.partition("://")[0] if "://" in uri else "file"
    match scheme:
        case "file":
            return _existing(uri)
        case "s3":
            return _fetch_s3(uri, into)
        case "https" | "http":
            return _fetch_web(uri, into)
    raise StorageError(f"{uri}: {scheme}:// cannot be read: give a path, file://, s3:// or https://")


def put_folder(folder: Path, uri: str, *, last: str) -> None:
    """Store every file of `folder` under `uri` (file:// or s3://), the one named `last` after all others.

    So whoever finds `last` there finds the others complete.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    if last not in names:
        raise StorageError(f"{folder / last} is missing: it shall be stored last")
    names.remove(last)
    scheme = uri.partition("://")[0] if "://" in uri else "file"
    match scheme:
        case "file":
            target = local_path(uri)
            _in_parallel(lambda name: _copy(folder / name, target / name), names)
            _copy(folder / last, target / last)
        case "s3":
            remote = s3(uri, silence=WRITE_SILENCE)
            _in_parallel(lambda name: remote.upload(folder / name, name), names)
            remote.upload(folder / last, last)
        case _:
            raise StorageError(f"{uri}: {scheme}:// cannot be written: give file:// or s3://")


def names(uri: str) -> list[str]:
    """Paths of all files below the folder `uri` (file:// or s3://); none where there is no such folder."""
    if uri.startswith("s3://"):
        try:
            return sorted(s3(uri, silence=READ_SILENCE).sizes())
        except NotFound:
            return []
    folder = local_path(uri)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def remove(uri: str, *, first: str = "") -> None:
    """Delete the folder `uri` (file:// or s3://), the file `first` before all others: see put_folder.

    StorageError, and nothing is deleted, where that cannot be a folder of one's own: a path that is not
    absolute, a whole disk or bucket, or a folder that this process works in.
    """
    if uri.startswith("s3://"):
        if not urlsplit(uri).path.strip("/"):
            raise StorageError(f"{uri} is a whole bucket: it is not deleted")
        return s3(uri, silence=WRITE_SILENCE).delete([first] * bool(first) + names(uri))
    folder = local_path(uri)
    if not uri.startswith("file:///") or folder.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise StorageError(f"{uri or 'an empty URI'} is not deleted: it is no file:///FOLDER of its own")
    if first:
        (folder / first).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def local_path(uri: str) -> Path:
    """The path that a file:// URI or a plain path names."""
    if not uri.startswith("file://"):
        return Path(uri)
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise StorageError(f"{uri}: a file URI has three slashes, as in file:///{parts.netloc}{parts.path}")
    return Path(unquote(parts.path))


def _existing(uri: str) -> Path:
    path = local_path(uri)
    if not path.exists():
        raise NotFound(f"{uri}: there is no {path}: check the path, or wait until it is written")
    return path


def _fetch_s3(uri: str, into: Path) -> Path:
    remote = s3(uri, silence=READ_SILENCE)
    sizes = remote.sizes()
    _check_space(into, remote.uri, sum(sizes.values()))
    name = PurePosixPath(remote.key).name or uri.removeprefix("s3://").strip("/")
    with _replacing(into, name) as new:
        _in_parallel(lambda path: remote.download(path, new / path), list(sizes))
    return into / name


def _fetch_web(uri: str, into: Path) -> Path:
    remote = web(uri)
    name = PurePosixPath(unquote(remote.uri)).name
    with _replacing(into, name) as new:
        remote.download("", new, check=lambda size: _check_space(into, remote.uri, size))
    return into / name


def _copy(source: Path, to: Path) -> None:
    """Copy so that `to` is there whole, on disk, or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.with_name(f".{to.name}.partial")
    shutil.copyfile(source, beside)
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(to)


def _in_parallel(work: Callable[[str], None], names: list[str]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(work, names))


@contextmanager
def _replacing(into: Path, name: str) -> Iterator[Path]:
    """A path to fill that becomes `into/name` when the block ends well, and vanishes otherwise."""
    partial = into / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    partial.mkdir(parents=True)
    try:
        yield partial / "new"
        if (into / name).exists():
            (into / name).rename(partial / "old")
        (partial / "new").rename(into / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_space(folder: Path, uri: str, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{uri} has {needed / 1e6:.0f} MB and {folder} has {free / 1e6:.0f} MB free: make room"
        )

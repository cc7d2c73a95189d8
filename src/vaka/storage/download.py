"""From a storage to the local disk: whole or not at all, and what was begun is gone on with."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from threading import Lock
from urllib.parse import unquote

from vaka.storage.errors import NotFound, StorageError, Unreachable
from vaka.storage.local import check_space, in_parallel, local_path
from vaka.storage.remote import READ_SILENCE, Remote, Version, s3, web
from vaka.storage.transfer import Changed, Transfer

ATTEMPTS = 3
"""How often what changes while it is read is begun anew."""

Progress = Callable[[int, int], None]
"""Told how many bytes are there, of how many; from any thread."""


def fetch(
    uri: str,
    into: Path,
    *,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
    make_room: Callable[[int], None] = lambda needed: None,  # noqa: ARG005
) -> Path:
    """The file or folder that `uri` names, on local disk.

    A path or file:// URI is given back as it is, uncopied. Anything else is downloaded to `into/NAME`,
    where NAME is the last part of the URI: s3://BUCKET/PREFIX is a folder of all objects under the prefix,
    or one object of just that key; https://HOST/PATH is one file. It appears whole, by rename, and replaces
    a former download. A transfer that broke off, even by a kill, goes on where it was as long as the
    source is still the same. Only one process at a time may use `into`.

    Args:
        make_room: told how many bytes more are needed, before the free space is checked.
    """
    scheme = uri.partition("://")[0] if "://" in uri else "file"
    match scheme:
        case "file":
            return _existing(uri)
        case "s3":
            remote = s3(uri, silence=READ_SILENCE)
            name = PurePosixPath(remote.key).name or uri.removeprefix("s3://").strip("/")
            fill = _fill_folder
        case "https" | "http":
            remote = web(uri)
            name = PurePosixPath(unquote(remote.uri)).name
            fill = _fill_file
        case _:
            raise StorageError(f"{uri}: {scheme}:// cannot be read: give a path, file://, s3:// or https://")

    def check(needed: int) -> None:
        make_room(needed)
        check_space(into, remote.uri, needed)

    for attempt in range(ATTEMPTS):
        try:
            with _replacing(into, name) as partial:
                fill(remote, partial, check, progress)
                return into / name
        except Changed as error:
            if attempt + 1 == ATTEMPTS:
                raise Unreachable(f"{error}, again and again: wait until it is written") from None
    raise AssertionError("unreachable")


def _existing(uri: str) -> Path:
    path = local_path(uri)
    if not path.exists():
        raise NotFound(f"{uri}: there is no {path}: check the path, or wait until it is written")
    return path


def _fill_file(remote: Remote, partial: Path, check: Callable[[int], None], progress: Progress) -> None:
    """One file of the web, of which nothing is known before."""
    total = 0

    def begin(needed: int) -> None:
        nonlocal total
        check(needed)
        total = needed + (partial / "new").stat().st_size

    Transfer(
        remote=remote,
        path="",
        to=partial / "new",
        note=partial / "note",
        check=begin,
        told=lambda done: progress(done, total),
    ).run()


def _fill_folder(remote: Remote, partial: Path, check: Callable[[int], None], progress: Progress) -> None:
    """All objects under a prefix, each of the version that the listing gives."""
    objects = remote.objects()
    new = partial / "new"
    _drop_others(new, objects)
    done = {path: _size(new / path) for path in objects}
    total = sum(version.size for version in objects.values())
    check(total - sum(done.values()))
    lock = Lock()

    def told(path: str, size: int) -> None:
        with lock:
            done[path] = size
            progress(sum(done.values()), total)

    def transfer(path: str) -> None:
        note = partial / "notes" / hashlib.sha256(path.encode()).hexdigest()
        version = objects[path]
        Transfer(
            remote=remote,
            path=path,
            to=new / path,
            note=note,
            expected=version,
            told=lambda size: told(path, size),
        ).run()

    in_parallel(transfer, objects)


def _drop_others(new: Path, objects: dict[str, Version]) -> None:
    """Remove what a former attempt has left and is not in the storage any more."""
    if new.is_file() and "" in objects:
        return
    if new.is_file() or "" in objects:
        _remove(new)
    for file in [p for p in new.rglob("*") if not p.is_dir()]:
        if file.relative_to(new).as_posix() not in objects:
            file.unlink()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _replacing(into: Path, name: str) -> Iterator[Path]:
    """A folder whose `new` becomes `into/name` when the block ends well.

    It stays for another attempt where the transfer broke off, and vanishes otherwise.
    """
    partial = into / f".{name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    _remove(partial / "old")
    try:
        yield partial
        if (into / name).exists():
            (into / name).rename(partial / "old")
        (partial / "new").rename(into / name)
    except (Unreachable, Changed):
        raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(partial, ignore_errors=True)

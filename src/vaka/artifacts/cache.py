"""Models on a disk that several processes share, so that only the first of them downloads.

    FOLDER/sha256-HEX/           one model: what storage.fetch made of it, published by rename
    FOLDER/.sha256-HEX.new/      its download, which another process goes on with
    FOLDER/.sha256-HEX.lock      held alone by who downloads or removes it, together by those who read it

A model lies under its digest, and all of it is verified each time that it is used: whatever a process that
was killed has left, or anybody has written there, is never taken for the model.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vaka import storage
from vaka.artifacts.errors import ModelError
from vaka.artifacts.manifest import Manifest
from vaka.artifacts.read import open_model

ATTEMPTS = 3
"""How often a model is looked for that others remove as soon as it is here."""
SPARE = 16 * 2**20
"""Bytes that are left free beside a model: for its notes, and for what the file system needs."""


def _unheard(*_: object) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ModelCache:
    """A folder of models.

    Args:
        limit: bytes that all models together may take; None: as much as the disk has.
    """

    folder: Path
    limit: int | None = None

    @contextmanager
    def held(
        self,
        uri: str,
        digest: str,
        *,
        progress: Callable[[int, int], None] = _unheard,
        waiting: Callable[[], None] = _unheard,
    ) -> Iterator[tuple[Path, Manifest]]:
        """The model of this digest, verified, which nobody removes while the block runs.

        Args:
            uri: where it is downloaded from if it is not here.
            waiting: called where another process downloads it, before that is waited for.
        """
        entry = self.folder / digest.replace(":", "-")
        self.folder.mkdir(parents=True, exist_ok=True)
        with _Lock(_lock_of(entry)) as lock:
            lock.share(waiting)
            for _ in range(ATTEMPTS):
                if manifest := _verified(entry, digest):
                    os.utime(entry, ns=(time.time_ns(), time.time_ns()))  # the clock of "now" is coarse
                    yield _inside(entry), manifest
                    return
                lock.take(waiting)
                if _verified(entry, digest) is None:
                    self._download(uri, digest, entry, progress)
                lock.share(waiting)
        raise storage.StorageError(f"{entry} vanishes again and again: is {self.folder} too small?")

    def _download(self, uri: str, digest: str, entry: Path, progress: Callable[[int, int], None]) -> None:
        """Fetch, verify and publish it. The lock is held alone."""
        new = _new_of(entry)
        if _verified(new, digest) is None:

            def make_room(needed: int) -> None:
                self._make_room(needed, uri, keep=entry)

            path = storage.fetch(uri, new, progress=progress, make_room=make_room)
            try:
                open_model(path, digest=digest)
            except ModelError:
                shutil.rmtree(new, ignore_errors=True)
                raise
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        new.rename(entry)

    def _make_room(self, needed: int, uri: str, *, keep: Path) -> None:
        """Remove what was used longest ago, and is not in use, until there is room."""
        for entry in self._oldest_first():
            if not self._has_room(needed) and entry != keep:
                _remove_unused(entry)
        if self.limit is not None and self._used() + needed > self.limit:
            raise storage.StorageError(
                f"{uri} needs {needed / 1e6:.0f} MB more, and the models in {self.folder} may take "
                f"{self.limit / 1e6:.0f} MB in all: make the cache larger"
            )

    def _has_room(self, needed: int) -> bool:
        if self.limit is not None and self._used() + needed > self.limit:
            return False
        return shutil.disk_usage(self.folder).free >= needed + SPARE

    def _used(self) -> int:
        files = (file for file in self.folder.rglob("*") if file.is_file())
        return sum(_size(file) for file in files)

    def _oldest_first(self) -> list[Path]:
        """Begun downloads, and then models by their last use."""
        found = {self.folder / p.name.removeprefix(".").removesuffix(".new") for p in self.folder.iterdir()}
        entries = [p for p in found if p.name.startswith("sha256-")]
        return sorted(entries, key=lambda entry: entry.stat().st_mtime if entry.exists() else 0.0)


class _Lock:
    """A file's lock, which the system lets go of when its holder ends, however it does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Lock":
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o660)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def share(self, waiting: Callable[[], None]) -> None:
        self._lock(fcntl.LOCK_SH, waiting)

    def take(self, waiting: Callable[[], None]) -> None:
        """Hold it alone. It is free for a moment before: look again at what it guards."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        self._lock(fcntl.LOCK_EX, waiting)

    def try_to_take(self) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def _lock(self, how: int, waiting: Callable[[], None]) -> None:
        try:
            fcntl.flock(self._handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(self._handle, how)


def _verified(entry: Path, digest: str) -> Manifest | None:
    """The manifest of the model at `entry`; None where it is not, or not whole."""
    if not entry.is_dir():
        return None
    try:
        return open_model(_inside(entry), digest=digest)
    except (ModelError, OSError):
        return None


def _inside(entry: Path) -> Path:
    """The folder or file that is the model."""
    return next((p for p in entry.iterdir() if not p.name.startswith(".")), entry / "missing")


def _remove_unused(entry: Path) -> None:
    with _Lock(_lock_of(entry)) as lock:
        if lock.try_to_take():
            shutil.rmtree(entry, ignore_errors=True)
            shutil.rmtree(_new_of(entry), ignore_errors=True)


def _lock_of(entry: Path) -> Path:
    return entry.with_name(f".{entry.name}.lock")


def _new_of(entry: Path) -> Path:
    return entry.with_name(f".{entry.name}.new")


def _size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0

"""The local side of storage: paths, free space, and several transfers at once."""

import errno
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vaka.storage.errors import StorageError

PARALLEL = 8


def is_local(uri: str) -> bool:
    """Whether it is a path or file:// URI."""
    return "://" not in uri or uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The path that a file:// URI or a plain path names."""
    if not uri.startswith("file://"):
        return Path(uri)
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise StorageError(f"{uri}: a file URI has three slashes, as in file:///{parts.netloc}{parts.path}")
    return Path(unquote(parts.path))


def in_parallel(work: Callable[[str], None], names: Iterable[str]) -> None:
    """Do the work for each name; the first error ends what has not begun."""
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        list(pool.map(work, names))
    finally:
        pool.shutdown(cancel_futures=True)


def check_space(folder: Path, uri: str, needed: int) -> None:
    """StorageError unless the disk of the folder has so many bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{uri} has {needed / 1e6:.0f} MB and {folder} has {free / 1e6:.0f} MB free: make room"
        )


@contextmanager
def told_when_full(folder: Path, uri: str) -> Iterator[None]:
    """StorageError where the disk turns out to be full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageError(f"{uri}: the disk of {folder} is full: make room") from error

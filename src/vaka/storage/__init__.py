"""Storage URIs to local files and back: file://, s3:// and https://, with bounded timeouts.

Access to S3 comes from the usual environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and,
for a server other than Amazon's, AWS_ENDPOINT_URL. An endpoint that cannot be reached fails within ten
seconds; a transfer may take as long as it needs while bytes keep coming, and one that breaks off goes on
where it was.
"""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from vaka.storage.download import fetch
from vaka.storage.errors import Denied, NotFound, StorageError, Unreachable
from vaka.storage.local import in_parallel, is_local, local_path
from vaka.storage.remote import READ_SILENCE, WRITE_SILENCE, s3

__all__ = [
    "Denied",
    "NotFound",
    "StorageError",
    "Unreachable",
    "fetch",
    "is_local",
    "local_path",
    "names",
    "put_bytes",
    "put_folder",
    "remove",
]


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
            in_parallel(lambda name: _copy(folder / name, target / name), names)
            _copy(folder / last, target / last)
        case "s3":
            remote = s3(uri, silence=WRITE_SILENCE)
            in_parallel(lambda name: remote.upload(folder / name, name), names)
            remote.upload(folder / last, last)
        case _:
            raise StorageError(f"{uri}: {scheme}:// cannot be written: give file:// or s3://")


def put_bytes(content: bytes, uri: str, name: str) -> None:
    """Store a file of the folder `uri` (file:// or s3://), whole or not at all."""
    if uri.startswith("s3://"):
        s3(uri, silence=WRITE_SILENCE).write(content, name)
        return
    target = local_path(uri) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def names(uri: str) -> list[str]:
    """Paths of all files below the folder `uri` (file:// or s3://); none where there is no such folder."""
    if uri.startswith("s3://"):
        try:
            return sorted(s3(uri, silence=READ_SILENCE).objects())
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


def _copy(source: Path, to: Path) -> None:
    """Copy so that `to` is there whole, on disk, or not at all."""
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.with_name(f".{to.name}.partial")
    shutil.copyfile(source, beside)
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(to)

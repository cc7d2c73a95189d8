"""Publishing a model folder, so that a reader finds a whole model or none: never half of one."""

import ctypes
import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from vaka.artifacts.errors import ModelError
from vaka.artifacts.manifest import MANIFEST, File, digest_of
from vaka.artifacts.read import open_model
from vaka.storage import Unreachable, local_path, put_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_OF_FILE_SYSTEM = frozenset({"lost+found"})


class PublishError(ModelError):
    """The model cannot be put there; the message says why and what to do."""


def files_of(folder: Path, manifest: str = MANIFEST) -> dict[str, File]:
    """Digest and size of every file in a folder, as its manifest lists them."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p != folder / manifest)
    return {p.relative_to(folder).as_posix(): _file(p) for p in found}


def publish(folder: Path, uri: str) -> str:
    """Put the model folder at `uri` and give its digest. Publishing the same model again changes nothing.

    file:///DIR: DIR becomes the model, in place of the model that it may hold; a folder with anything else
    in it is refused. s3://BUCKET/PREFIX: manifest.json, which readers start from, comes last.

    Raises PublishError where the place is not ours to use, StorageError where it cannot be written now.
    """
    open_model(folder)
    digest = digest_of((folder / MANIFEST).read_bytes())
    if uri.startswith("s3://"):
        put_folder(folder, uri, last=MANIFEST)
    else:
        _publish_locally(folder, local_path(uri).resolve())
    return digest


def check_target(target: Path) -> None:
    """PublishError where no model may be written, or where something lies that is no model."""
    stage_in = _stage_in(target)
    nearest = next(p for p in (stage_in, *stage_in.parents) if p.exists())
    if not os.access(nearest, os.W_OK):
        raise PublishError(f"{nearest} cannot be written: give a folder for the model that can be")
    if file := next((p for p in (target, nearest) if p.exists() and not p.is_dir()), None):
        raise PublishError(f"{file} is a file: give a new or empty folder for the model")
    inside = {p.name for p in target.iterdir()} - _OF_FILE_SYSTEM if target.exists() else set()
    # Half a model is one too: its publisher was killed.
    ours = any(name == MANIFEST or name.startswith(_staging_prefix(target)) for name in inside)
    if inside and not ours:
        some = ", ".join(sorted(inside)[:3])
        raise PublishError(f"{target} holds {some} and no model: give a new or empty folder, or empty it")


def _publish_locally(folder: Path, target: Path) -> None:
    check_target(target)
    stage_in = _stage_in(target)
    try:
        stage_in.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_staging_prefix(target), dir=stage_in) as staging:
            staged = Path(staging) / "model"
            _copy_tree(folder, staged)
            (_move_into if stage_in == target else _replace)(staged, target)
        _remove_leftovers(stage_in, target)
    except OSError as error:
        raise Unreachable(
            f"{error.filename or target}: {error.strerror}: the model cannot be written"
        ) from error


def _stage_in(target: Path) -> Path:
    """Beside the target; a volume's root cannot be renamed: there within, and the manifest comes last."""
    return target if os.path.ismount(target) else target.absolute().parent


def _staging_prefix(target: Path) -> str:
    return f".{target.name}.publishing-"


def _remove_leftovers(folder: Path, target: Path) -> None:
    """What a publisher that was killed left behind."""
    for leftover in folder.glob(f"{_staging_prefix(target)}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _move_into(staged: Path, target: Path) -> None:
    """File by file, the manifest last: until then, the digests of what is half replaced are wrong."""
    names = [p.name for p in staged.iterdir() if p.name != MANIFEST]
    for name in [*names, MANIFEST]:
        if (target / name).is_dir():
            shutil.rmtree(target / name)
        (staged / name).replace(target / name)
    sync(target)


def _replace(staged: Path, target: Path) -> None:
    """Put `staged` in the place of `target`, at once where the file system can exchange two folders."""
    if not target.exists() or not any(target.iterdir()):
        staged.rename(target)
    elif not _exchange(staged, target):
        target.rename(staged.with_name("former"))
        staged.rename(target)
    sync(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """renameat2(2) with RENAME_EXCHANGE; False where the file system has no such thing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not libc.renameat2(_AT_FDCWD, bytes(one), _AT_FDCWD, bytes(other), _RENAME_EXCHANGE):
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _copy_tree(folder: Path, to: Path) -> None:
    """Copy, and wait until the disk has it."""
    to.mkdir()
    for source in sorted(folder.iterdir()):
        if source.is_dir():
            _copy_tree(source, to / source.name)
        else:
            shutil.copyfile(source, to / source.name)
            sync(to / source.name)
    sync(to)


def sync(path: Path) -> None:
    """Wait until the disk has this file, or the entries of this folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file(path: Path) -> File:
    with path.open("rb") as content:
        return File(sha256=hashlib.file_digest(content, "sha256").hexdigest(), size=path.stat().st_size)

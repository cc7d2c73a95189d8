"""Where checkpoints are: a folder each, that is there whole or counts for nothing."""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from vaka import storage
from vaka.artifacts.manifest import File
from vaka.artifacts.publish import files_of, sync
from vaka.training.watch import Record

DESCRIPTION = "checkpoint.json"
_NAME = re.compile(r"step-\d{7,}")

log = logging.getLogger(__name__)


class Damaged(Exception):
    """No checkpoint to go on from; the message says why."""


class Description(msgspec.Struct, rename="camel", kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What checkpoint.json says of the files beside it."""

    format_version: Literal[1] = 1
    fingerprint: str
    time: str
    record: Record
    files: dict[str, File]


class Sealed(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The content of checkpoint.json: the description, and the digest of its bytes."""

    sha256: str
    checkpoint: msgspec.Raw


class Found(NamedTuple):
    """A verified checkpoint on local disk."""

    folder: Path
    description: Description


def name_of(step: int) -> str:
    return f"step-{step:07}"


class CheckpointFolder:
    """The checkpoints of one run below `uri`, file:// or s3://. Only that run writes there.

    On a file system a checkpoint is written beside and renamed. In S3 its checkpoint.json comes last.
    """

    def __init__(self, uri: str, *, keep: int, scratch: Path, token: str) -> None:
        self.uri = uri.rstrip("/")
        self._keep = keep
        self._token = token
        self._local = None if uri.startswith("s3://") else storage.local_path(uri)
        self._scratch = scratch / "checkpoints"

    def newest(self, fingerprint: str, rejected: list[str]) -> Found | None:
        """The newest checkpoint that is whole and of this run. Newer ones, being of no use, are removed, and
        `rejected` says why. Raises StorageError where the folder cannot be read now.
        """
        for name in sorted(self._names(), reverse=True):
            try:
                return self.open(name, fingerprint)
            except Damaged as error:
                rejected.append(f"{name} {error}")
                log.warning("checkpoint rejected", extra={"fields": {"checkpoint": name, "why": str(error)}})
                storage.remove(f"{self.uri}/{name}", first=DESCRIPTION)
        return None

    def open(self, name: str, fingerprint: str) -> Found:
        """The checkpoint of that name on local disk; Damaged if it is not whole or not of this run."""
        try:
            folder = storage.fetch(f"{self.uri}/{name}", self._scratch)
            return Found(folder, verified(folder, fingerprint))
        except OSError as error:
            raise storage.Unreachable(f"{self.uri}/{name}: {error.strerror}: it cannot be read") from error

    def staging(self, step: int) -> Path:
        """Where the files of a checkpoint are written first."""
        beside = self._local or self._scratch
        return beside / f".{name_of(step)}.{self._token}"

    def publish(self, step: int, description: Callable[[dict[str, File]], Description]) -> Description:
        """Make what is staged the checkpoint of this step, then remove those that are too many."""
        staged, name = self.staging(step), name_of(step)
        described = description(files_of(staged, DESCRIPTION))
        (staged / DESCRIPTION).write_bytes(sealed(described))
        sync(staged / DESCRIPTION)
        sync(staged)
        if self._local:
            shutil.rmtree(self._local / name, ignore_errors=True)
            staged.rename(self._local / name)
            sync(self._local)
        else:
            storage.put_folder(staged, f"{self.uri}/{name}", last=DESCRIPTION)
            shutil.rmtree(staged)
        self._prune()
        return described

    def contribute(self, step: int) -> dict[str, File]:
        """Put what this process has staged where the first one will complete it; digests of what that cannot
        see for itself.
        """
        if self._local:
            return {}
        staged = self.staging(step)
        files = files_of(staged, DESCRIPTION)
        storage.put_folder(staged, f"{self.uri}/{name_of(step)}", last=next(iter(files)))
        shutil.rmtree(staged)
        return files

    def clean(self, *, first: bool) -> None:
        """Remove what has been downloaded and, as the first process, what killed writers have left behind."""
        if not self._local:
            shutil.rmtree(self._scratch, ignore_errors=True)
        elif first:
            for leftover in self._local.glob(".step-*"):
                shutil.rmtree(leftover, ignore_errors=True)

    def _prune(self) -> None:
        names = self._names()
        complete = sorted(name for name, files in names.items() if DESCRIPTION in files)
        for name in names.keys() - set(complete[-self._keep :]):
            storage.remove(f"{self.uri}/{name}", first=DESCRIPTION)

    def _names(self) -> dict[str, set[str]]:
        """The files of each checkpoint."""
        found: dict[str, set[str]] = {}
        if self._local and self._local.exists():  # an empty folder is one too
            found = {p.name: set() for p in self._local.iterdir() if _NAME.fullmatch(p.name)}
        for path in storage.names(self.uri):
            name, _, file = path.partition("/")
            if _NAME.fullmatch(name):
                found.setdefault(name, set()).add(file)
        return found


def sealed(description: Description) -> bytes:
    """The bytes of checkpoint.json."""
    content = msgspec.json.encode(description)
    seal = hashlib.sha256(content).hexdigest()
    return msgspec.json.encode(Sealed(sha256=seal, checkpoint=msgspec.Raw(content)))


def verified(folder: Path, fingerprint: str) -> Description:
    """The description of a checkpoint once all of it is verified; Damaged says what is wrong."""
    description = _unsealed(folder / DESCRIPTION)
    if name_of(description.record.step) != folder.name:
        raise Damaged(f"is of step {description.record.step}")
    if description.fingerprint != fingerprint:
        raise Damaged("is of another model or data set")
    found = files_of(folder, DESCRIPTION)
    if wrong := sorted(n for n, file in description.files.items() if found.get(n) != file):
        raise Damaged(f"is damaged: {wrong[0]} is missing or not what was written")
    return description


def _unsealed(file: Path) -> Description:
    try:
        outer = msgspec.json.decode(file.read_bytes(), type=Sealed)
        description = msgspec.json.decode(outer.checkpoint, type=Description)
    except FileNotFoundError:
        raise Damaged(f"has no {DESCRIPTION}: its writer was stopped") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"is damaged: {DESCRIPTION} cannot be read: {error}") from None
    if hashlib.sha256(bytes(outer.checkpoint)).hexdigest() != outer.sha256:
        raise Damaged(f"is damaged: {DESCRIPTION} is not what was written")
    return description


def now() -> str:
    """RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

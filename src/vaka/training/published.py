"""The note that a run leaves when its model is published: who comes later has nothing left to do.

A process may be killed after that and before it could say so, and nodes that train together may end one
after the other.
"""

from pathlib import Path

import msgspec

from vaka import storage
from vaka.api.contract import PublishedModel
from vaka.api.run import Run
from vaka.artifacts.errors import ModelError
from vaka.artifacts.read import digest_at

NOTE = "published.json"


class Note(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Which model was published, and where."""

    output: str
    model: PublishedModel


def published(run: Run, scratch: Path) -> PublishedModel | None:
    """The model that this run has published before. StorageError where that cannot be found out now."""
    if not (uri := run.spec.checkpoint.storage_uri):
        return None
    try:
        file = storage.fetch(f"{uri}/{NOTE}", scratch / "note")
        note = msgspec.json.decode(file.read_bytes(), type=Note)
    except (storage.NotFound, FileNotFoundError, msgspec.DecodeError):
        return None
    return note.model if note.output == output_of(run) and _is_there(note) else None


def remember(run: Run, model: PublishedModel, scratch: Path) -> None:
    """Leave the note. StorageError where it cannot be left now."""
    if uri := run.spec.checkpoint.storage_uri:
        folder = scratch / "published"
        folder.mkdir(exist_ok=True)
        (folder / NOTE).write_bytes(msgspec.json.encode(Note(output=output_of(run), model=model)))
        storage.put_folder(folder, uri, last=NOTE)


def output_of(run: Run) -> str:
    return run.spec.output.storage_uri or run.public_output


def _is_there(note: Note) -> bool:
    if note.output.startswith("s3://"):
        return True
    try:
        return digest_at(storage.local_path(note.output)) == note.model.digest
    except ModelError:
        return False

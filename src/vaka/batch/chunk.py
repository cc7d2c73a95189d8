"""What sources of every kind give: rows, some at a time."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from vaka.artifacts.tensors import Array

ID = "id"
"""Column or field that is carried over into the results."""
WHOLE = ("image", "instance")
"""Columns, one of which alone is the whole instance."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some rows. A row is bytes of a picture, an array, or JSON as V1 has it; an exception if unreadable."""

    start: int
    ids: Sequence[str | None]
    rows: Sequence[Any] = ()
    columns: Mapping[str, Array] = field(default_factory=dict)
    """Instead of rows, where all are alike and none lacks anything; "" stands for the whole instance."""

    def all(self) -> Sequence[Any]:
        """The rows, by name where they have columns with names."""
        if not self.columns:
            return self.rows
        if "" in self.columns:
            return list(self.columns[""])
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


class Source(Protocol):
    @property
    def count(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def read(self, start: int, stop: int) -> Chunk:
        """The rows from `start` up to `stop`."""


def fingerprint_of(root: Path, files: Sequence[Path]) -> str:
    """Digest of the names and sizes."""
    digest = hashlib.sha256()
    for file in files:
        name = file.relative_to(root).as_posix() if file != root else file.name
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
    return digest.hexdigest()


def decoded(line: bytes) -> Any:
    """A line of JSON, or the exception that says why it is none."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return ValueError(f"the line is no JSON: {error}")


def as_text(value: Any) -> str | None:
    return None if value is None else str(value)

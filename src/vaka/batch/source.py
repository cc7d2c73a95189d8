"""The rows of an input in a fixed order: a folder of files, Parquet, JSON lines or one array."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vaka.batch.chunk import ID, Chunk, Source, as_text, decoded, fingerprint_of
from vaka.batch.errors import BatchError
from vaka.batch.tables import Table

IMAGES = (".png", ".jpg", ".jpeg")
TABLES = (".parquet", ".pq")
LINES = (".jsonl", ".ndjson")
SINGLE = (*IMAGES, ".npy", ".json")
STRIDE = 1000
"""Lines between two whose place is remembered."""


def open_source(path: Path, inputs: Sequence[str], *, texts: bool = False) -> Source:
    """The source that a file or folder is, for a model of these inputs; BatchError where it is none.

    Args:
        texts: whether the model's one input is text.
    """
    if not path.exists():
        raise BatchError(f"{path}: there is no such file or folder")
    files = [p for p in sorted(path.rglob("*")) if p.is_file()] if path.is_dir() else [path]
    files = [p for p in files if not p.name.startswith((".", "_"))]
    kinds: list[tuple[tuple[str, ...], Callable[[], Source]]] = [
        (TABLES, lambda: Table.of(path, files, inputs, texts=texts)),
        (LINES, lambda: Lines.of(path, files)),
        (SINGLE, lambda: Files.of(path, files)),
    ]
    if path.suffix.lower() == ".npy" and path.is_file():
        return Rows.of(path)
    for suffixes, make in kinds:
        if some := [p.name for p in files if p.suffix.lower() in suffixes]:
            if others := [p.name for p in files if p.name not in some]:
                raise BatchError(f"{path} holds {some[0]} and {others[0]}: give files of one kind")
            return make()
    known = ", ".join((*TABLES, *LINES, *SINGLE))
    raise BatchError(f"{path} holds no input: give {known}, or a folder of these")


@dataclass(frozen=True, kw_only=True)
class Files:
    """One row a file; its id is the path below the folder."""

    root: Path
    names: Sequence[str]
    fingerprint: str

    @classmethod
    def of(cls, root: Path, files: Sequence[Path]) -> "Files":
        folder = root if root.is_dir() else root.parent
        names = [p.relative_to(folder).as_posix() for p in files]
        return cls(root=folder, names=names, fingerprint=fingerprint_of(root, files))

    @property
    def count(self) -> int:
        return len(self.names)

    def read(self, start: int, stop: int) -> Chunk:
        names = self.names[start:stop]
        return Chunk(start=start, ids=names, rows=[self._row(self.root / name) for name in names])

    def _row(self, path: Path) -> Any:
        try:
            match path.suffix.lower():
                case ".npy":
                    return np.load(path, allow_pickle=False)
                case ".json":
                    return msgspec.json.decode(path.read_bytes())
            return path.read_bytes()
        except (OSError, ValueError, EOFError) as error:
            return ValueError(f"{path.name} cannot be read: {error}")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """An array file: its first dimension counts the rows."""

    path: Path
    count: int
    fingerprint: str

    @classmethod
    def of(cls, path: Path) -> "Rows":
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BatchError(f"{path} is no array of numbers: {error}") from error
        if not array.ndim:
            raise BatchError(f"{path} holds one number and no rows")
        return cls(path=path, count=len(array), fingerprint=fingerprint_of(path, [path]))

    def read(self, start: int, stop: int) -> Chunk:
        rows = np.load(self.path, mmap_mode="r", allow_pickle=False)[start:stop]
        return Chunk(start=start, ids=[None] * len(rows), columns={"": rows})


@dataclass(frozen=True, kw_only=True)
class Lines:
    """JSON lines: each that is not empty is a row."""

    files: Sequence[Path]
    marks: Sequence[tuple[int, int]]
    """File and byte of every STRIDE-th row."""
    count: int
    fingerprint: str

    @classmethod
    def of(cls, root: Path, files: Sequence[Path]) -> "Lines":
        marks, count = [], 0
        for number, file in enumerate(files):
            place = 0
            with file.open("rb") as lines:
                for line in lines:
                    if line.strip():
                        if count % STRIDE == 0:
                            marks.append((number, place))
                        count += 1
                    place += len(line)
        return cls(files=files, marks=marks, count=count, fingerprint=fingerprint_of(root, files))

    def read(self, start: int, stop: int) -> Chunk:
        if start >= min(stop, self.count):
            return Chunk(start=start, ids=[], rows=[])
        lines = self._from(start // STRIDE)
        for _ in range(start % STRIDE):
            next(lines)
        rows = [decoded(next(lines)) for _ in range(min(stop, self.count) - start)]
        ids = [as_text(row.get(ID)) if isinstance(row, dict) else None for row in rows]
        return Chunk(start=start, ids=ids, rows=rows)

    def _from(self, mark: int) -> Iterator[bytes]:
        number, place = self.marks[mark]
        for file in self.files[number:]:
            with file.open("rb") as lines:
                lines.seek(place)
                yield from (line for line in lines if line.strip())
            place = 0

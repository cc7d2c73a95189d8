"""The rows of an input in a fixed order: a folder of files, Parquet, JSON lines or one array."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from vaka.batch.errors import BatchError
from vaka.serving.tensors import Array

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

IMAGES = (".png", ".jpg", ".jpeg")
TABLES = (".parquet", ".pq")
LINES = (".jsonl", ".ndjson")
SINGLE = (*IMAGES, ".npy", ".json")
STRIDE = 1000
"""Lines between two whose place is remembered."""
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


def open_source(path: Path) -> Source:
    """The source that a file or folder is; BatchError where it is none."""
    if not path.exists():
        raise BatchError(f"{path}: there is no such file or folder")
    files = [p for p in sorted(path.rglob("*")) if p.is_file()] if path.is_dir() else [path]
    files = [p for p in files if not p.name.startswith((".", "_"))]
    kinds: list[tuple[tuple[str, ...], Callable[[], Source]]] = [
        (TABLES, lambda: Table.of(path, files)),
        (LINES, lambda: Lines.of(path, files)),
        (SINGLE, lambda: Files.of(path, files)),
    ]
    if path.suffix.lower() == ".npy" and path.is_file():
        return Rows.of(path)
    for suffixes, make in kinds:
        if any(p.suffix.lower() in suffixes for p in files):
            if others := [p for p in files if p.suffix.lower() not in suffixes]:
                raise BatchError(f"{path} holds {files[0].name} and {others[0].name}: give files of one kind")
            return make()
    known = ", ".join((*TABLES, *LINES, *SINGLE))
    raise BatchError(f"{path} holds no input: give {known}, or a folder of these")


def _fingerprint(root: Path, files: Sequence[Path]) -> str:
    """Digest of the names and sizes."""
    digest = hashlib.sha256()
    for file in files:
        name = file.relative_to(root).as_posix() if file != root else file.name
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
    return digest.hexdigest()


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
        return cls(root=folder, names=names, fingerprint=_fingerprint(root, files))

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
        return cls(path=path, count=len(array), fingerprint=_fingerprint(path, [path]))

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
        return cls(files=files, marks=marks, count=count, fingerprint=_fingerprint(root, files))

    def read(self, start: int, stop: int) -> Chunk:
        if start >= min(stop, self.count):
            return Chunk(start=start, ids=[], rows=[])
        lines = self._from(start // STRIDE)
        for _ in range(start % STRIDE):
            next(lines)
        rows = [_json(next(lines)) for _ in range(min(stop, self.count) - start)]
        ids = [_text(row.get(ID)) if isinstance(row, dict) else None for row in rows]
        return Chunk(start=start, ids=ids, rows=[_without_id(row) for row in rows])

    def _from(self, mark: int) -> Iterator[bytes]:
        number, place = self.marks[mark]
        for file in self.files[number:]:
            with file.open("rb") as lines:
                lines.seek(place)
                yield from (line for line in lines if line.strip())
            place = 0


def _json(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return ValueError(f"the line is no JSON: {error}")


def _without_id(row: Any) -> Any:
    """The instance: what stands under `instance` or `image`, or all but the id."""
    if not isinstance(row, dict) or ID not in row:
        return row
    rest = {name: value for name, value in row.items() if name != ID}
    return next(iter(rest.values())) if len(rest) == 1 and next(iter(rest)) in WHOLE else rest


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Parquet files, one after the other: a column for each input, or one of WHOLE."""

    files: Sequence[Path]
    groups: Sequence[tuple[int, int]]
    """File and row group, in order."""
    ends: Sequence[int]
    """Number of the row behind each group."""
    fingerprint: str
    columns: Sequence[str] = field(default=())

    @classmethod
    def of(cls, root: Path, files: Sequence[Path]) -> "Table":
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        groups, sizes, names = [], [], []
        for number, file in enumerate(files):
            try:
                metadata = pq.read_metadata(file)
            except (pa.ArrowException, OSError) as error:
                raise BatchError(f"{file} is no Parquet file: {error}") from error
            groups += [(number, group) for group in range(metadata.num_row_groups)]
            sizes += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            names.append(list(metadata.schema.to_arrow_schema().names))
        if any(other != names[0] for other in names):
            raise BatchError(f"{root}: its Parquet files have different columns")
        digest = _fingerprint(root, files)
        return cls(
            files=files, groups=groups, ends=list(accumulate(sizes)), fingerprint=digest, columns=names[0]
        )

    @property
    def count(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, start: int, stop: int) -> Chunk:
        import pyarrow as pa

        stop = min(stop, self.count)
        parts = []
        for group in range(bisect_right(self.ends, start), len(self.groups)):
            first = self.ends[group - 1] if group else 0
            if first >= stop:
                break
            number, inside = self.groups[group]
            whole = _row_group(self.files[number], inside)
            begin = max(0, start - first)
            parts.append(whole.slice(begin, min(stop, self.ends[group]) - first - begin))
        return _chunk(start, pa.concat_tables(parts)) if parts else Chunk(start=start, ids=[], rows=[])


@lru_cache(maxsize=2)  # several parts lie in one group
def _row_group(file: Path, group: int) -> "pa.Table":
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        return opened.read_row_group(group)


def _chunk(start: int, table: "pa.Table") -> Chunk:
    names = [name for name in table.column_names if name != ID]
    ids: list[str | None] = [None] * len(table)
    if ID in table.column_names:
        ids = [_text(value) for value in table[ID].to_pylist()]
    if len(names) == 1 and names[0] in WHOLE:
        column = _array(table[names[0]])
        if column is not None:
            return Chunk(start=start, ids=ids, columns={"": column})
        return Chunk(start=start, ids=ids, rows=[_whole(value) for value in table[names[0]].to_pylist()])
    columns = {name: array for name in names if (array := _array(table[name])) is not None}
    if len(columns) == len(names):
        return Chunk(start=start, ids=ids, columns=columns)
    return Chunk(start=start, ids=ids, rows=table.select(names).to_pylist())


def _whole(value: Any) -> Any:
    """An instance as people put it into one column: a picture's bytes, also in a struct, or JSON text."""
    if value is None:
        return ValueError("the instance is null")
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return value["bytes"]
    return _json(value.encode()) if isinstance(value, str) else value


def _array(column: "pa.ChunkedArray") -> Array | None:
    """A column of numbers, or of lists of equal length, as an array; None where it is none."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    values, shape = pa.concat_arrays(column.chunks), [len(column)]
    while not values.null_count and (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        lengths = pc.unique(values.value_lengths()).to_pylist()
        if len(lengths) != 1:
            return None
        shape, values = [*shape, lengths[0]], values.flatten()
    kind = values.type
    if values.null_count or not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    ):
        return None
    array: Array = values.to_numpy(zero_copy_only=False)
    return array.reshape(shape)

"""Tables of text pairs, row by row.

TSV is UTF-8 with one pair a line, source and target separated by a tab, without quoting: a quotation mark is
one of the text. A first line with the columns' names, in small letters or capitals, is known by them; without
one, the first two columns are source and target.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaka.data.dataset import DatasetError

SUFFIXES = ("tsv", "parquet")


@dataclass(frozen=True)
class Columns:
    """The columns of source and target; None: the one of that name or, without names, the first two."""

    source: str | None = None
    target: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        return self.source or "source", self.target or "target"

    @property
    def given(self) -> bool:
        return bool(self.source or self.target)


def rows(file: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    """Source and target of each row; DatasetError names the line that is broken."""
    return (_parquet if file.suffix.lower() == ".parquet" else _tsv)(file, columns)


def _tsv(file: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    place = None
    for number, line in enumerate(_lines(file), start=1):
        cells = line.split("\t")
        if not line.strip():
            continue
        if place is None:
            place = _header(cells, columns)
            if place:
                continue
            if columns.given:
                raise _missing(file, columns, cells)
            place = (0, 1)
        if len(cells) <= max(place):
            needed = f"source and target are {place[0] + 1} and {place[1] + 1}, separated by a tab"
            count = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
            raise DatasetError(file, f"line {number:,} has {count}: {needed}")
        yield cells[place[0]], cells[place[1]]


def _header(cells: list[str], columns: Columns) -> tuple[int, int] | None:
    """Where source and target stand, if these are the names of columns."""
    names = [cell.strip().casefold() for cell in cells]
    source, target = (name.casefold() for name in columns.names)
    return (names.index(source), names.index(target)) if {source, target} <= set(names) else None


def _lines(file: Path) -> Iterator[str]:
    with file.open("rb") as content:
        for number, line in enumerate(content, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DatasetError(file, f"line {number:,} is not UTF-8: {error.reason}") from error
            if "\0" in text:
                raise DatasetError(file, f"line {number:,} has a NUL character: it is no text")
            yield text.rstrip("\r\n")


def _missing(file: Path, columns: Columns, found: list[str]) -> DatasetError:
    wanted = next(name for name in columns.names if name not in found)
    return DatasetError(file, f"has no column {wanted!r}: it has {', '.join(map(repr, found[:10]))}")


def _parquet(file: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise DatasetError(file, "needs pyarrow to be read, which is not here: give TSV") from error
    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            wanted = columns.names if columns.given or set(columns.names) <= set(names) else names[:2]
            if len(wanted) < 2 or not set(wanted) <= set(names):
                raise _missing(file, columns, names)
            number = 0
            for batch in table.iter_batches(columns=list(dict.fromkeys(wanted))):
                for row in batch.to_pylist():
                    number += 1
                    yield _text(row[wanted[0]], file, number), _text(row[wanted[1]], file, number)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(file, f"is no readable Parquet file: {error}") from error


def _text(value: object, file: Path, number: int) -> str:
    """A missing text is an empty one."""
    if not isinstance(value, str | None):
        raise DatasetError(file, f"row {number:,} holds {value!r}: source and target are text")
    return value or ""

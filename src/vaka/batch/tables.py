"""Rows from Parquet: by the column where that can be, for it is much faster."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaka.artifacts.tensors import Array
from vaka.batch.chunk import ID, WHOLE, Chunk, as_text, decoded, fingerprint_of
from vaka.batch.errors import BatchError

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Parquet files, one after the other. Columns that the model does not need are not read."""

    files: Sequence[Path]
    groups: Sequence[tuple[int, int]]
    """File and row group, in order."""
    ends: Sequence[int]
    """Number of the row behind each group."""
    fingerprint: str
    inputs: Sequence[str]
    """The columns that are read for the model."""
    has_ids: bool
    texts: bool
    """Whether the model's one input is text: then a text is what it says, and no JSON."""

    @classmethod
    def of(cls, root: Path, files: Sequence[Path], inputs: Sequence[str], *, texts: bool = False) -> "Table":
        """The table for a model with these inputs; BatchError where it has no columns for them."""
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
        return cls(
            files=files,
            groups=groups,
            ends=list(accumulate(sizes)),
            fingerprint=fingerprint_of(root, files),
            inputs=_columns_for(inputs, names[0], root),
            has_ids=ID in names[0],
            texts=texts,
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
            columns = tuple(dict.fromkeys((*self.inputs, *([ID] if self.has_ids else []))))
            whole = _row_group(self.files[number], inside, columns)
            begin = max(0, start - first)
            parts.append(whole.slice(begin, min(stop, self.ends[group]) - first - begin))
        if not parts:
            return Chunk(start=start, ids=[])
        return self._chunk(start, pa.concat_tables(parts))

    def _chunk(self, start: int, table: "pa.Table") -> Chunk:
        ids: list[str | None] = [None] * len(table)
        if self.has_ids:
            ids = [as_text(value) for value in table[ID].to_pylist()]
        columns = {name: array for name in self.inputs if (array := _array(table[name])) is not None}
        if len(self.inputs) > 1:
            if len(columns) == len(self.inputs):
                return Chunk(start=start, ids=ids, columns=columns)
            return Chunk(start=start, ids=ids, rows=table.select(self.inputs).to_pylist())
        if columns:
            return Chunk(start=start, ids=ids, columns={"": columns[self.inputs[0]]})
        return Chunk(
            start=start, ids=ids, rows=[_whole(v, self.texts) for v in table[self.inputs[0]].to_pylist()]
        )


def _columns_for(inputs: Sequence[str], names: Sequence[str], root: Path) -> Sequence[str]:
    """One for each input; for a single input also one of WHOLE, or the only one that there is."""
    if set(inputs) <= set(names):
        return inputs
    if len(inputs) == 1:
        for name in WHOLE:
            if name in names:
                return [name]
        others = [name for name in names if name != ID]
        if len(others) == 1:
            return others
    alone = f", or one named {' or '.join(WHOLE)}" if len(inputs) == 1 else ""
    raise BatchError(f"{root} has the columns {', '.join(names)}: the model needs {', '.join(inputs)}{alone}")


@lru_cache(maxsize=2)  # several parts lie in one group
def _row_group(file: Path, group: int, columns: tuple[str, ...]) -> "pa.Table":
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        return opened.read_row_group(group, list(columns))


def _whole(value: Any, is_text: bool) -> Any:
    """An instance as people put it into one column: a text, a picture's bytes, also in a struct, or JSON."""
    if value is None:
        return ValueError("the instance is null")
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return value["bytes"]
    return decoded(value.encode()) if isinstance(value, str) and not is_text else value


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return any(
        is_one(kind) for is_one in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    )


def _array(column: "pa.ChunkedArray") -> Array | None:
    """A column of numbers, or of lists of equal length, as an array; None where it is none."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    values, shape = pa.concat_arrays(column.chunks), [len(column)]
    while not values.null_count and _is_list(values.type):
        fixed = pa.types.is_fixed_size_list(values.type)
        lengths = [values.type.list_size] if fixed else pc.unique(values.value_lengths()).to_pylist()
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

"""Results as a Parquet table whose columns follow from the model alone, whatever the rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from vaka.artifacts.manifest import Tensor
from vaka.artifacts.tensors import DTYPES, Array
from vaka.batch.chunk import Chunk
from vaka.batch.results import Result
from vaka.models.pipeline import Pipeline

OWN = ("row", "id", "error")
"""Columns of every result: the row's number in the input, what it is called there, and what is wrong."""


def table(chunk: Chunk, results: Sequence[Result], pipeline: Pipeline) -> pa.Table:
    """One row for each result; predictions are null where there is an error."""
    good = [result for result in results if not isinstance(result, str)]
    places, count = [], 0
    for result in results:
        places.append(None if isinstance(result, str) else count)
        count += not isinstance(result, str)
    where = pa.array(places, pa.int64())
    columns = {
        "row": pa.array(np.arange(chunk.start, chunk.start + len(results)), pa.int64()),
        "id": pa.array(chunk.ids, pa.string()),
        **{name: column.take(where) for name, column in _predictions(good, pipeline).items()},
        "error": pa.array([r if isinstance(r, str) else None for r in results], pa.string()),
    }
    return pa.table(columns)


def _predictions(results: Sequence[Any], pipeline: Pipeline) -> dict[str, pa.Array]:
    outputs = pipeline.signature.outputs
    rows = {t.name: [result[t.name] for result in results] for t in outputs}
    summary = pipeline.summary(rows)
    return {
        **{name: pa.array(array, _kind(array)) for name, array in summary.items()},
        **{(f"output_{t.name}" if t.name in OWN else t.name): _column(rows[t.name], t) for t in outputs},
    }


def _kind(array: Array) -> pa.DataType:
    return pa.string() if array.dtype.kind == "O" else pa.from_numpy_dtype(array.dtype)


def _column(rows: Sequence[Array], tensor: Tensor) -> pa.Array:
    kind = pa.string() if tensor.datatype == "BYTES" else pa.from_numpy_dtype(DTYPES[tensor.datatype])
    return _nested(rows, len(tensor.shape) - 1, kind)


def _nested(rows: Sequence[Array], depth: int, kind: pa.DataType) -> pa.Array:
    """Lists of lists, `depth` deep, for rows of any lengths."""
    if depth <= 0:
        return pa.array(np.asarray(rows) if rows else [], kind)
    ends = np.cumsum([0, *map(len, rows)])
    if depth == 1:
        values = pa.array(np.concatenate(rows) if rows else [], kind)
    else:
        values = _nested([inner for row in rows for inner in row], depth - 1, kind)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values)

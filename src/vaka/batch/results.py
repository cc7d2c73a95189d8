"""Rows to results: a prediction, or what is wrong with the row."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import FULL
from vaka.artifacts.read import in_precision, open_model
from vaka.artifacts.tensors import Array, check_names, from_json
from vaka.batch.chunk import WHOLE, Chunk
from vaka.batch.errors import BatchError
from vaka.serving.predictor import Predictor

WHERE = "the row"

Result = Mapping[str, Array] | str
"""One row's outputs by name, or what is wrong with it."""


class Runner:
    """A model and how many rows it sees at once; as many as its graph wants where that says so."""

    def __init__(self, model: Path, *, batch_size: int, precision: str = FULL) -> None:
        graph, self.manifest = in_precision(model, open_model(model), precision)
        self._predictor = Predictor(graph, self.manifest)
        self.pipeline = self._predictor.pipeline
        self._inputs = self.pipeline.signature.inputs
        if any(not tensor.shape for tensor in self._inputs):
            raise BatchError(f"{model} takes a single value and no batch of rows")
        fixed = {tensor.shape[0] for tensor in self._inputs} - {-1}
        self._padded = max(fixed, default=0)
        self._size = self._padded or batch_size

    def run(self, chunk: Chunk) -> list[Result]:
        """One result for each row, in order."""
        rows = self._decoded(chunk)
        results: list[Result] = [row if isinstance(row, str) else {} for row in rows]
        for batch in _alike(rows, self._size):
            predicted = self._predict([rows[i] for i in batch])  # type: ignore[misc]
            for i, result in zip(batch, predicted, strict=True):
                results[i] = result
        return results

    def _decoded(self, chunk: Chunk) -> list[Result]:
        if (columns := self._columns(chunk)) is not None:
            count = len(next(iter(columns.values())))
            return [{name: column[i, ...] for name, column in columns.items()} for i in range(count)]
        return [self._one(row) for row in chunk.all()]

    def _columns(self, chunk: Chunk) -> dict[str, Array] | None:
        """Whole columns as inputs, much faster than row by row; None where one of them does not fit."""
        given = dict(chunk.columns)
        if not given or not self.pipeline.columnar:
            return None
        if len(given) == len(self._inputs) == 1:
            given = {self._inputs[0].name: next(iter(given.values()))}
        try:
            check_names(given, self._inputs)
            return {t.name: from_json(given[t.name], t.datatype, t.name) for t in self._inputs}
        except BadInput:
            return None

    def _one(self, row: Any) -> Result:
        try:
            return self._arrays(row)
        except BadInput as error:
            return str(error).replace(f"{WHERE}[0]", WHERE, 1)

    def _arrays(self, row: Any) -> dict[str, Array]:
        """One instance as V1 has it, or a picture's bytes, without the batch dimension."""
        names = [tensor.name for tensor in self._inputs]
        if isinstance(row, Exception):
            raise BadInput(str(row))
        if len(names) == 1 and isinstance(row, dict):
            row = next((row[name] for name in (*names, *WHOLE) if name in row), row)
        elif isinstance(row, dict):
            row = {name: row[name] for name in names if name in row}
        arrays = self.pipeline.instances([row], WHERE)
        return {name: array[0, ...] for name, array in arrays.items()}  # of texts, arrays too

    def _predict(self, rows: Sequence[Mapping[str, Array]]) -> list[Result]:
        """Together; where the model refuses that, by halves, until the row is found that it is about."""
        stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        try:
            outputs = self._predictor.predict(self._filled(stacked))
        except BadInput as error:
            if len(rows) == 1:
                return [str(error)]
            half = len(rows) // 2
            return [*self._predict(rows[:half]), *self._predict(rows[half:])]
        for name, array in outputs.items():
            if array.ndim == 0 or len(array) < len(rows):
                raise BatchError(f"the model's output {name!r} has not one value for each row")
        return [{name: array[i] for name, array in outputs.items()} for i in range(len(rows))]

    def _filled(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """With the last row repeated, up to the number of rows that the graph wants."""
        missing = self._padded - len(next(iter(inputs.values())))
        if missing <= 0:
            return inputs
        return {
            name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
            for name, array in inputs.items()
        }


def _alike(rows: Sequence[Result], size: int) -> Iterator[list[int]]:
    """Numbers of rows that can be stacked, up to `size` at once."""
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, str):
            groups.setdefault(tuple(array.shape for array in row.values()), []).append(i)
    for group in groups.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))

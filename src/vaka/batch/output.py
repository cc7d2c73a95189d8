"""The folder of results: parts that appear whole, and what makes it go on with the same work.

    _plan.json              what this is the result of: a run with another input or model is refused
    part-00000.parquet      the first rows, and so on: the name says which rows, so each has one result
    _SUCCESS                every part is there

Readers of Parquet folders (pyarrow, pandas, Spark, DuckDB) pass over names that begin with an underscore.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from vaka import storage
from vaka.batch.errors import BatchError

PLAN = "_plan.json"
SUCCESS = "_SUCCESS"
PART = re.compile(r"part-(\d{5,})\.parquet")
ERRORS = b"vaka.errors"
"""Metadata of each part: how many of its rows have an error."""


class Plan(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """What a folder of results is the result of."""

    input: str
    """Digest of the names and sizes of the input's files."""
    model: str
    precision: str
    rows: int
    rows_per_part: int

    @property
    def parts(self) -> int:
        """At least one, for its columns tell readers what there would be."""
        return max(1, -(-self.rows // self.rows_per_part))

    def rows_of(self, part: int) -> tuple[int, int]:
        """The first row and the one behind the last."""
        return part * self.rows_per_part, min(self.rows, (part + 1) * self.rows_per_part)


@dataclass(frozen=True, kw_only=True)
class Output:
    """Results at a path, file:// or s3:// URI."""

    uri: str

    def plan(self) -> Plan | None:
        """The plan that is there."""
        if PLAN not in storage.names(self.uri):
            return None
        with tempfile.TemporaryDirectory() as scratch:
            path = storage.fetch(f"{self.uri.rstrip('/')}/{PLAN}", Path(scratch))
            return msgspec.json.decode(path.read_bytes(), type=Plan)

    def begin(self, plan: Plan) -> None:
        """Write the plan, or see that what is there goes on with the same; BatchError otherwise."""
        there = self.plan()
        if there is None:
            if self.parts():
                raise BatchError(f"{self.uri} holds results of something else: give another --output")
            self._put(PLAN, msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
            there = self.plan()
        if there != plan:
            raise BatchError(
                f"{self.uri} holds results of {_differences(there, plan)}: give another --output"
            )

    def parts(self) -> set[int]:
        """The numbers of the parts that are there."""
        found = (PART.fullmatch(name) for name in storage.names(self.uri))
        return {int(match[1]) for match in found if match}

    def write(self, part: int, table: pa.Table, *, errors: int) -> None:
        """The part's file, whole or not at all, in place of a former one."""
        noted = table.replace_schema_metadata({ERRORS: str(errors)})
        sink = pa.BufferOutputStream()
        pq.write_table(noted, sink, compression="zstd")
        self._put(_name(part), sink.getvalue().to_pybytes())

    def errors(self, part: int) -> int:
        """How many rows of a part that is there have an error."""
        with tempfile.TemporaryDirectory() as scratch:
            path = storage.fetch(f"{self.uri.rstrip('/')}/{_name(part)}", Path(scratch))
            return int(pq.read_schema(path).metadata[ERRORS])

    def finish(self) -> None:
        self._put(SUCCESS, b"")

    def _put(self, name: str, content: bytes) -> None:
        storage.put_bytes(content, self.uri, name)


def _name(part: int) -> str:
    return f"part-{part:05}.parquet"


def _differences(there: Plan | None, wanted: Plan) -> str:
    words = {
        "input": "another input",
        "model": "another model",
        "precision": "another --precision",
        "rows_per_part": "other --rows-per-part",
    }
    found = [told for name, told in words.items() if getattr(there, name, None) != getattr(wanted, name)]
    return " and ".join(found) or "another input"

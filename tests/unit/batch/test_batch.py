"""Exactly one result a row: whatever the input is, however bad, and however often the work is killed."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from vaka.batch.chunk import Chunk
from vaka.batch.columns import table
from vaka.batch.errors import BatchError
from vaka.batch.results import Runner
from vaka.batch.run import Batch, Shard, Summary, run
from vaka.batch.source import open_source

JSON = dict[str, Any]

pytestmark = pytest.mark.usefixtures("own_scratch")

WHOLE = Shard()


def predict(model: Path, inputs: Path, output: Path | str, *, shard: Shard = WHOLE, **more: Any) -> Summary:
    options = {"rows_per_part": None, "batch_size": 32} | more
    processes = options.pop("processes", 1)
    batch = Batch.of(model=model, inputs=inputs, output=str(output), **options)
    return run(batch, shard=shard, processes=processes)


def rows(output: Path) -> list[JSON]:
    found: list[JSON] = pq.read_table(output).to_pylist()
    return found


def numbers(count: int, to: Path, **columns: Any) -> Path:
    """A table for the model `sums`: a = 0, 1, … and b = [a, 1]."""
    a = np.arange(count, dtype=np.float32)
    b = pa.array([[i, 1] for i in range(count)], pa.list_(pa.int64()))
    pq.write_table(pa.table({"a": a, "b": b} | columns), to, row_group_size=7)
    return to


def test_each_row_of_a_table_gets_its_result_in_order(models: Any, tmp_path: Path) -> None:
    ids = [f"r{i}" for i in range(50)]
    inputs = numbers(50, tmp_path / "in.parquet", id=ids)
    predict(models.sums(tmp_path / "m.onnx"), inputs, tmp_path / "out", rows_per_part=8)
    assert rows(tmp_path / "out") == [
        {"row": i, "id": ids[i], "double": 2.0 * i, "total": i + 1, "error": None} for i in range(50)
    ]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("_SUCCESS", "_plan.json"),
        *(f"part-0000{i}.parquet" for i in range(7)),
    ]


def test_every_kind_of_input_gives_the_same_predictions(models: Any, tmp_path: Path) -> None:
    model = models.brightness(tmp_path / "model")
    arrays = np.random.default_rng(1).integers(0, 256, (20, 3, 4), np.uint8)
    pngs = [io.BytesIO() for _ in arrays]
    for array, png in zip(arrays, pngs, strict=True):
        Image.fromarray(array).save(png, "PNG")
    made = {name: tmp_path / name for name in ("pictures", "arrays", "jsons", "tables")}
    for folder in made.values():
        folder.mkdir()
    for i, (array, png) in enumerate(zip(arrays, pngs, strict=True)):
        (made["pictures"] / f"{i:02}.png").write_bytes(png.getvalue())
        np.save(made["arrays"] / f"{i:02}.npy", array)
        (made["jsons"] / f"{i:02}.json").write_text(json.dumps(array.tolist()))
    encoded = [png.getvalue() for png in pngs]
    pq.write_table(pa.table({"image": encoded[:9]}), made["tables"] / "a.parquet")
    pq.write_table(pa.table({"image": encoded[9:]}), made["tables"] / "b.parquet")
    structs = [{"bytes": png, "path": None} for png in encoded]
    pq.write_table(pa.table({"image": structs}), tmp_path / "structs.parquet")
    pq.write_table(pa.table({"image": arrays.reshape(20, 12).tolist()}), tmp_path / "lists.parquet")
    flat = pa.FixedSizeListArray.from_arrays(pa.array(arrays.ravel()), 12)
    pq.write_table(pa.table({"image": flat}), tmp_path / "fixed.parquet")
    np.save(tmp_path / "all.npy", arrays)
    (tmp_path / "lines.jsonl").write_text("\n\n".join(json.dumps(a.tolist()) for a in arrays))
    results = []
    for name in (*made, "structs.parquet", "lists.parquet", "fixed.parquet", "all.npy", "lines.jsonl"):
        predict(model, tmp_path / name, tmp_path / "out" / name)
        results.append([row["probabilities"] for row in rows(tmp_path / "out" / name)])
    assert len(results[0]) == 20
    assert results == [results[0]] * len(results)


def test_a_bad_row_has_its_error_and_costs_no_other_row(models: Any, tmp_path: Path) -> None:
    lines = [{"id": i, "a": i, "b": [i, 1]} for i in range(40)]
    lines[3]["a"] = "three"
    del lines[5]["b"]
    lines[7]["b"] = [1, 2, 3]
    text = [json.dumps(line) for line in lines]
    text[9] = "{"
    (tmp_path / "in.jsonl").write_text("\n".join(text))
    done = predict(models.sums(tmp_path / "m.onnx"), tmp_path / "in.jsonl", tmp_path / "out", rows_per_part=8)
    assert (done.rows, done.errors) == (40, 4)
    found = rows(tmp_path / "out")
    assert {row["row"]: row["error"] for row in found if row["error"]} == {
        3: "a: not all values are numbers, as FP32 needs",
        5: "the row: input 'b' is missing: the model takes a, b",
        7: "input 'b' has shape [1, 3], the model takes [-1, 2] (-1: any)",
        9: "the line is no JSON: Input data was truncated",
    }
    assert [row["total"] for row in found if not row["error"]] == [
        i + 1 for i in range(40) if i not in (3, 5, 7, 9)
    ]
    assert found[8]["id"] == "8"


def test_a_null_or_another_length_is_an_error_of_its_row(models: Any, tmp_path: Path) -> None:
    columns = {"a": [1.0, None, 3.0], "b": [[1, 2], [3, 4], [5]]}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    predict(models.sums(tmp_path / "m.onnx"), tmp_path / "in.parquet", tmp_path / "out")
    assert [bool(row["error"]) for row in rows(tmp_path / "out")] == [False, True, True]


def test_columns_that_the_model_does_not_need_are_passed_over(models: Any, tmp_path: Path) -> None:
    inputs = numbers(5, tmp_path / "in.parquet", label=["x"] * 5)
    predict(models.sums(tmp_path / "m.onnx"), inputs, tmp_path / "out")
    assert [row["total"] for row in rows(tmp_path / "out")] == [1, 2, 3, 4, 5]
    pictures = {"image": [[[255] * 4] * 3], "label": [1]}
    pq.write_table(pa.table(pictures), tmp_path / "pictures.parquet")
    predict(models.brightness(tmp_path / "model"), tmp_path / "pictures.parquet", tmp_path / "labels")
    assert [row["label"] for row in rows(tmp_path / "labels")] == ["bright"]


def test_columns_that_the_model_lacks_are_told_before_anything_is_done(models: Any, tmp_path: Path) -> None:
    inputs = tmp_path / "in.parquet"
    pq.write_table(pa.table({"a": [1.0], "c": [2]}), inputs)
    with pytest.raises(BatchError, match=r"has the columns a, c: the model needs a, b$"):
        predict(models.sums(tmp_path / "m.onnx"), inputs, tmp_path / "out")
    with pytest.raises(BatchError, match=r"the model needs x, or one named image or instance"):
        predict(models.identity(tmp_path / "m.onnx"), inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_of_a_fixed_batch_size_takes_any_number_of_rows(tmp_path: Path) -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", info[:1], info[1:])
    onnx.save(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]),
        tmp_path / "m.onnx",
    )
    np.save(tmp_path / "in.npy", np.arange(14, dtype=np.float32).reshape(7, 2))
    predict(tmp_path / "m.onnx", tmp_path / "in.npy", tmp_path / "out")
    assert [row["y"] for row in rows(tmp_path / "out")] == [[-2.0 * i, -2.0 * i - 1] for i in range(7)]


def test_strings_go_in_and_out(models: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"instance": [["a", "b"], ["é", ""]]}), tmp_path / "in.parquet")
    predict(
        models.identity(tmp_path / "m.onnx", TensorProto.STRING), tmp_path / "in.parquet", tmp_path / "out"
    )
    assert [row["y"] for row in rows(tmp_path / "out")] == [["a", "b"], ["é", ""]]


def test_no_row_gives_no_row_with_the_same_columns(models: Any, tmp_path: Path) -> None:
    model = models.brightness(tmp_path / "model")
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "in.parquet")
    predict(model, tmp_path / "in.parquet", tmp_path / "out")
    found = pq.read_table(tmp_path / "out")
    assert found.num_rows == 0
    assert found.schema.names == ["row", "id", "class", "label", "probability", "probabilities", "error"]


@given(st.lists(st.booleans(), max_size=40))
def test_the_columns_do_not_depend_on_the_rows(runner: Runner, good: list[bool]) -> None:
    chunk = Chunk(start=5, ids=["x"] * len(good), rows=[[0] * 12 if is_good else "bad" for is_good in good])
    made = table(chunk, runner.run(chunk), runner.pipeline)
    assert made.schema == table(Chunk(start=0, ids=[]), [], runner.pipeline).schema
    assert [error is None for error in made["error"].to_pylist()] == good
    assert [label == "dark" for label in made["label"].to_pylist()] == good


@pytest.fixture(scope="module")
def runner(models: Any, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(models.brightness(tmp_path_factory.mktemp("model")), batch_size=4)


@given(st.data())
def test_any_range_of_lines_is_read(lined: tuple[Path, int], data: st.DataObject) -> None:
    path, count = lined
    start = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(start, min(count, start + 50)))
    assert list(open_source(path, ["x"]).read(start, stop).all()) == list(range(start, stop))


@pytest.fixture(scope="module")
def lined(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder = tmp_path_factory.mktemp("lines")
    for first, last in ((0, 1500), (1500, 1501), (1501, 3700)):
        (folder / f"{first:04}.jsonl").write_text("\n \n".join(map(str, range(first, last))) + "\n")
    return folder, 3700


def test_shards_share_the_work_and_the_last_says_that_all_is_done(models: Any, tmp_path: Path) -> None:
    model, inputs = models.sums(tmp_path / "m.onnx"), numbers(50, tmp_path / "in.parquet")
    out = tmp_path / "out"
    first = predict(model, inputs, out, rows_per_part=4, shard=Shard(index=0, of=3))
    assert (first.rows, first.complete) == (18, False)
    predict(model, inputs, out, rows_per_part=4, shard=Shard(index=2, of=3))
    assert not (out / "_SUCCESS").exists()
    assert predict(model, inputs, out, rows_per_part=4, shard=Shard(index=1, of=3)).complete
    assert [row["row"] for row in rows(out)] == list(range(50))


@pytest.mark.parametrize(
    ("other", "told"),
    [("input", "another input"), ("model", "another model"), ("rows_per_part", "other --rows-per-part")],
)
def test_results_of_something_else_are_never_mixed(
    models: Any, tmp_path: Path, other: str, told: str
) -> None:
    model, inputs = models.sums(tmp_path / "m.onnx"), numbers(9, tmp_path / "in.parquet")
    predict(model, inputs, tmp_path / "out", rows_per_part=4)
    if other == "input":
        numbers(8, inputs)
    elif other == "model":
        graph = onnx.load(model)
        graph.doc_string = "another"
        onnx.save(graph, model)
    with pytest.raises(BatchError, match=f"holds results of {told}: give another --output"):
        predict(model, inputs, tmp_path / "out", rows_per_part=5 if other == "rows_per_part" else 4)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["a.txt"], "holds no input: give .parquet"),
        (["a.png", "b.jsonl"], "holds b.jsonl and a.png: give files of one kind"),
        ([], "holds no input"),
        (["a.parquet"], "is no Parquet file"),
    ],
)
def test_what_is_no_input_is_told(tmp_path: Path, files: list[str], told: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BatchError, match=told):
        open_source(tmp_path, ["x"])


def command(model: Path, inputs: Path, output: Path, *more: str) -> list[str]:
    words = ["--model", model, "--input", inputs, "--output", output, *more]
    return [sys.executable, "-m", "vaka.cli", "predict", *map(str, words)]


def test_killed_again_and_again_it_ends_with_each_row_once(models: Any, tmp_path: Path) -> None:
    model, out = models.sums(tmp_path / "m.onnx"), tmp_path / "out"
    argv = command(model, numbers(600, tmp_path / "in.parquet"), out, "--rows-per-part", "10")
    chance, kills = random.Random(1), 0
    while True:
        process = subprocess.Popen([*argv, "--processes", "2"], stderr=subprocess.DEVNULL)
        parts = len(list(out.glob("part-*"))) if out.exists() else 0
        wanted = parts + chance.randrange(20)
        while process.poll() is None and (not out.exists() or len(list(out.glob("part-*"))) < wanted):
            time.sleep(0.001)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills > 1
    assert [row["row"] for row in rows(out)] == list(range(600))
    assert [row["total"] for row in rows(out)] == list(range(1, 601))


def test_the_helpers_of_a_killed_batch_end_too(models: Any, tmp_path: Path) -> None:
    argv = command(models.sums(tmp_path / "m.onnx"), numbers(9000, tmp_path / "in.parquet"), tmp_path / "out")
    process = subprocess.Popen([*argv, "--rows-per-part", "1", "--processes", "2"], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("out/part-*")):
        assert process.poll() is None
    helpers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    assert len(helpers) >= 2
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in map(int, helpers)):
        assert time.monotonic() < deadline


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_helper_that_is_killed_is_told_and_nothing_is_lost(models: Any, tmp_path: Path) -> None:
    inputs, out = numbers(3000, tmp_path / "in.parquet"), tmp_path / "out"
    argv = command(models.sums(tmp_path / "m.onnx"), inputs, out, "--rows-per-part", "1", "--processes", "2")
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("part-*")):
        assert process.poll() is None
    helpers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in map(int, helpers):
        os.kill(pid, signal.SIGKILL)
    told = process.communicate()[1]
    assert process.returncode == 2
    assert "for lack of memory" in told


def test_sigterm_ends_it_with_whole_parts(models: Any, tmp_path: Path) -> None:
    inputs, out = numbers(9000, tmp_path / "in.parquet"), tmp_path / "out"
    argv = command(models.sums(tmp_path / "m.onnx"), inputs, out, "--rows-per-part", "1", "--processes", "2")
    process = subprocess.Popen(argv, stderr=subprocess.PIPE)
    while not list(out.glob("part-*")):
        assert process.poll() is None
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert len(rows(out)) == len(list(out.glob("part-*"))) < 9000


@pytest.mark.api
def test_a_batch_goes_from_s3_to_s3(models: Any, tmp_path: Path, bucket: str, gateway: Any) -> None:
    model = models.sums(tmp_path / "m.onnx")
    folder = gateway[1] / bucket / "in"
    folder.mkdir()
    numbers(20, folder / "a.parquet")
    argv = command(model, f"s3://{bucket}/in", f"s3://{bucket}/out", "--rows-per-part", "6")  # type: ignore[arg-type]
    for _ in range(2):
        done = subprocess.run(argv, check=False, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
    assert [row["total"] for row in rows(gateway[1] / bucket / "out")] == list(range(1, 21))

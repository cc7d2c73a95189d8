"""Texts go in and come out, by every protocol; what is no text for the model is refused with the limit."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaka.artifacts.errors import BadInput
from vaka.artifacts.runtime import predictor
from vaka.batch.run import Batch, Shard, run
from vaka.data.text_pairs import TextPairs
from vaka.models.architecture import Published
from vaka.models.pipeline import Pipeline, pipeline
from vaka.models.seq2seq.model import Coder
from vaka.models.seq2seq.tokens import END, PAD
from vaka.serving import v1
from vaka.serving.predictor import Predictor


@pytest.fixture(name="texts")
def texts_fixture(published: Published) -> Pipeline:
    return pipeline(published.manifest, published.folder)


def given_texts(*texts: Any) -> dict[str, Any]:
    return {"text": np.array(texts, object)}


def test_translations_are_those_of_the_graph(
    published: Published, texts: Pipeline, language: Callable[[int, int], TextPairs]
) -> None:
    pairs = language(60, 20).validation
    graph = predictor(published.folder / "model.onnx")
    inputs, told = texts.encode(given_texts(*pairs.sources[:-1], pairs.sources[-1].encode()))
    outputs = texts.decode(graph(inputs), told)
    assert (
        outputs["translation"].tolist()
        == Coder.of(published.manifest, published.folder).translated(graph, pairs)[0]
    )
    assert outputs["score"].dtype == np.float32
    assert outputs["score"].max() < 0


def test_a_translation_that_was_cut_says_so(texts: Pipeline) -> None:
    rows = np.array([[7, END, PAD], [7, 8, 9]])
    found = texts.decode({"translation": rows, "score": np.zeros(2, np.float32)}, None)
    assert found["complete"].tolist() == [True, False]


def test_spaces_and_composition_do_not_matter(texts: Pipeline) -> None:
    one, other = (texts.encode(given_texts(text))[0]["source"] for text in ("die große", " die  gro\u00dfe "))
    assert (one == other).all()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", r"input text\[1\] is empty: give a text of 1 to 60 characters"),
        (" \n", r"input text\[1\] is empty"),
        ("\u2581", r"input text\[1\] is empty"),  # what sentencepiece writes for a space
        ("\ud800", r"input text\[1\] is not UTF-8"),
        ("x" * 61, r"input text\[1\] has 61 characters: at most 60 are translated"),
        ("字 " * 30, r"input text\[1\] has \d+ subwords: at most \d+ are translated"),
        (b"\xff", r"input text\[1\] is not UTF-8"),
    ],
)
def test_what_is_no_text_for_the_model_is_refused(texts: Pipeline, value: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        texts.encode(given_texts("der hund", value))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_is_encoded_or_refused(published: Published, value: str | bytes) -> None:
    texts = pipeline(published.manifest, published.folder)
    with suppress(BadInput):
        source = texts.encode(given_texts(value))[0]["source"]
        assert source.shape == (1, published.manifest.options["sourceLimit"])
        assert source.any()


def asked(model: Published, body: dict[str, Any]) -> list[Any]:
    """Through the server's own parts, without HTTP."""
    predictor = Predictor(model.folder / "model.onnx", model.manifest)
    inputs = v1.decode(msgspec.json.encode(body), predictor.pipeline)
    answer = v1.encode(predictor.predict(inputs), predictor.pipeline)
    predictions: list[Any] = msgspec.json.decode(answer)["predictions"]
    return predictions


def test_the_server_translates_instances_and_named_ones(published: Published) -> None:
    first, second = asked(published, {"instances": ["der hund", "die frau"]})
    assert first.keys() == second.keys() == {"translation", "score", "complete"}
    assert asked(published, {"instances": [{"text": "der hund"}]})[0]["translation"] == first["translation"]
    assert asked(published, {"inputs": {"text": ["die frau"]}})[0]["translation"] == second["translation"]


def test_more_texts_than_a_batch_are_translated_row_by_row(published: Published) -> None:
    texts = ["der hund", "der große vogel sieht den mann"] * 20
    found = [one["translation"] for one in asked(published, {"instances": texts})]
    assert found == found[:2] * 20


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        ("", "is empty"),
        (7, r"\[0\] is no text: BYTES are strings"),
        (["a", "b"], r"shape \[1, 2\]"),
        ({"txt": "a"}, "unknown"),
    ],
)
def test_the_server_refuses_what_is_no_text(published: Published, instance: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        asked(published, {"instances": [instance]})


def test_serving_needs_neither_torch_nor_sacrebleu(published: Published) -> None:
    code = (
        "import sys; from pathlib import Path; sys.modules['torch'] = sys.modules['sacrebleu'] = None\n"
        "from vaka.artifacts.read import open_model; from vaka.models.pipeline import pipeline\n"
        "folder = Path(sys.argv[1]); pipeline(open_model(folder), folder).example(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(published.folder)], check=True)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_whole_table_is_translated(published: Published, tmp_path: Path, kind: str) -> None:
    texts = ["der hund", "", "die frau"]
    file = tmp_path / f"texts.{kind}"
    if kind == "jsonl":
        file.write_bytes(b"\n".join(msgspec.json.encode({"text": text}) for text in texts))
    else:
        pq.write_table(pa.table({"text": texts}), file)
    out = (tmp_path / "out").as_uri()
    batch = Batch.of(model=published.folder, inputs=file, output=out, rows_per_part=None, batch_size=8)
    run(batch, shard=Shard(), processes=1)
    rows = pq.read_table(tmp_path / "out").to_pylist()
    wanted = asked(published, {"instances": ["der hund", "die frau"]})
    assert [row["translation"] for row in rows] == [wanted[0]["translation"], None, wanted[1]["translation"]]
    assert "is empty" in rows[1]["error"]

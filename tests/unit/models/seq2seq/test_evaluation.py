"""A published translator is measured on any pairs, without torch, and what cannot be measured is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from vaka.api.dataset import DatasetSpec
from vaka.artifacts.runtime import predictor
from vaka.cli.__main__ import main
from vaka.data.text_pairs import Pairs
from vaka.models import seq2seq
from vaka.models.architecture import Published
from vaka.models.seq2seq.evaluation import scores

MEASURES = {"chrf", "bleu", "exactMatch", "loss"}


def evaluated(capsys: pytest.CaptureFixture[str], model: Published, data: Path, *more: str) -> dict[str, Any]:
    words = ["evaluate", "--model", str(model.folder), "--data", str(data), "--json", *more]
    assert main(words) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_scores_are_those_of_the_field() -> None:
    same = ["te hio nei te uri i te ia", "'aita"]
    assert scores(same, same) == pytest.approx({"chrf": 100, "bleu": 100, "exactMatch": 1})
    assert scores([same[0], "x"], same)["exactMatch"] == 0.5
    assert scores(["", ""], same) == {"chrf": 0, "bleu": 0, "exactMatch": 0}


def test_a_manifest_tells_what_is_known_of_unseen_and_of_seen_pairs(published: Published) -> None:
    metrics = published.manifest.metrics
    assert metrics.keys() >= MEASURES | {"trainChrf", "trainBleu", "trainExactMatch", "trainLoss"}
    assert published.manifest.task == "translation"
    assert {"subwords.model", "card.html"} <= published.manifest.files.keys()


def test_the_card_shows_translations_of_unseen_and_of_seen_texts(published: Published) -> None:
    card = (published.folder / "card.html").read_text()
    assert "Translations of unseen texts" in card
    assert "The first of 72 pairs that it was trained on, which it may only remember." in card
    assert card.count("<td>der ") == 16


def test_evaluate_gives_the_measures_of_the_task(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    data = published.folder.parent / "pairs.tsv"
    found = evaluated(capsys, published, data)
    assert found.keys() == MEASURES | {"model", "task", "count", "samplesPerSecond"}
    assert found["count"] == 80
    held_out, seen = (published.manifest.metrics[name] for name in ("loss", "trainLoss"))
    assert found["loss"] == pytest.approx((8 * held_out + 72 * seen) / 80, rel=0.02)


def test_columns_are_named_as_in_a_job(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.tsv").write_text("ty\tde\nhio te uri i te ia\tder hund sieht den fisch\n")
    more = ("--option", "sourceColumn=de", "--option", "targetColumn=ty", "--format", "tsv")
    assert evaluated(capsys, published, tmp_path / "t.tsv", *more)["count"] == 1
    assert main(["evaluate", "--model", str(published.folder), "--data", str(tmp_path), "--option", "x=1"])
    assert "--option.x is unknown to seq2seq" in capsys.readouterr().err


def test_sources_that_are_too_long_count_as_not_translated(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.tsv").write_text(f"{'h u n d ' * 50}\ta\n")
    main(["evaluate", "--model", str(published.folder), "--data", str(tmp_path / "t.tsv"), "--json"])
    said = capsys.readouterr()
    assert json.loads(said.out)["exactMatch"] == 0
    assert "1 sources have more than" in said.err
    assert "loss" not in json.loads(said.out)


def test_targets_that_are_too_long_are_told(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.tsv").write_text(f"der hund\t{'h u n d ' * 50}\n")
    main(["evaluate", "--model", str(published.folder), "--data", str(tmp_path / "t.tsv"), "--json"])
    assert "1 targets have more than" in capsys.readouterr().err


def test_calibration_takes_any_pairs(published: Published, write_table: Any, tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.tsv", Pairs(("der hund", "die frau"), ("te uri", "te vahine")))
    spec = DatasetSpec(storage_uri=file.as_uri())
    samples, test = seq2seq.calibration(published, file, spec, tmp_path)
    predict = predictor(published.folder / "model.onnx")
    assert len(samples) == 1
    assert predict(samples[0])["translation"].shape == (1, published.manifest.options["targetLimit"])
    assert test(predict).keys() >= MEASURES

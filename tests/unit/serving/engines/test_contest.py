import subprocess
import sys

import pytest
from onnx import TensorProto

from vaka.serving.engines import contest as contests
from vaka.serving.engines.contest import contest
from vaka.serving.engines.verdict import verdict_in


@pytest.mark.parametrize(("worth", "winner"), [(0.0, "ncnn"), (1e9, "onnxruntime")])
def test_who_is_quick_enough_wins(models, tmp_path, monkeypatch, worth, winner):
    monkeypatch.setattr(contests, "WORTH", worth)
    verdict = contest(models.convolutions(tmp_path / "g.onnx"), tmp_path)
    assert verdict.engine == winner
    assert "times as quick" in verdict.why


def test_who_gives_something_else_loses(models, tmp_path, monkeypatch):
    graph, other = (
        models.convolutions(tmp_path / "g.onnx"),
        models.convolutions(tmp_path / "o.onnx", filters=4),
    )
    translate = contests.translate
    monkeypatch.setattr(contests, "translate", lambda _, folder: translate(other, folder))
    verdict = contest(graph, tmp_path)
    assert (verdict.engine, verdict.why) == ("onnxruntime", "ncnn gives something else as y")


def test_a_graph_of_texts_stays_with_onnx_runtime(models, tmp_path):
    verdict = contest(models.identity(tmp_path / "g.onnx", TensorProto.STRING), tmp_path)
    assert verdict.engine == "onnxruntime"


def test_its_verdict_is_there_for_others(models, tmp_path):
    assert verdict_in(tmp_path) is None
    words = [sys.executable, "-m", "vaka.serving.engines.contest"]
    subprocess.run([*words, str(models.convolutions(tmp_path / "g.onnx")), str(tmp_path)], check=True)
    assert "times as quick" in verdict_in(tmp_path).why

"""`vaka evaluate` measures without torch, and says in one line what does not fit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaka.cli.__main__ import main


def write_pair(folder: Path, prefix: str, *, dark: int, bright: int, side: tuple[int, int] = (3, 4)) -> None:
    folder.mkdir(exist_ok=True)
    labels = np.array([0] * dark + [1] * bright, np.uint8)
    images = np.broadcast_to((labels * 240)[:, None, None], (len(labels), *side))
    sizes = [len(labels), *side]
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in sizes)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    header = bytes([0, 0, 8, 1]) + len(labels).to_bytes(4, "big")
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


@pytest.fixture
def model(models: Any, tmp_path: Path) -> Path:
    folder: Path = models.brightness(tmp_path / "model")
    return folder


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["evaluate", *words, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_only_test_images_are_enough(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(tmp_path / "d", "t10k", dark=3, bright=5)
    result = measured(capsys, "--model", str(model), "--data", (tmp_path / "d").as_uri(), "--format", "idx")
    assert (result["count"], result["accuracy"], result["top5Accuracy"]) == (8, 1, 1)
    assert result["perClassAccuracy"] == {"dark": 1, "bright": 1}
    assert 0 <= result["loss"] < 1e-3
    assert result["samplesPerSecond"] > 0
    assert result["task"] == "image-classification"


def test_test_images_are_preferred_and_others_may_be_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "d", "train", dark=1, bright=1)
    write_pair(tmp_path / "d", "t10k", dark=2, bright=2)
    words = ("--model", str(model), "--data", str(tmp_path / "d"))
    assert measured(capsys, *words)["count"] == 4
    assert measured(capsys, *words, "--split", "train")["count"] == 2
    assert measured(capsys, *words, "--split", "all")["count"] == 6


def test_people_read_one_measure_a_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "d", "t10k", dark=1, bright=1)
    assert main(["evaluate", "--model", str(model), "--data", str(tmp_path / "d")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("accuracy", "perClassAccuracy"))] == [
        ["accuracy", "1"],
        ["perClassAccuracy", "dark", "1"],
        ["perClassAccuracy", "bright", "1"],
    ]
    assert "confusionMatrix" not in {line.split()[0] for line in lines}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--data": "nowhere"}, "there is no nowhere"),
        ({"--model": "nowhere"}, "there is no nowhere"),
        ({"--model": "bare.onnx"}, "only a model folder says what its task and labels are"),
        ({"--data": "large"}, "has images of 5x5x1: the model takes 3x4x1"),
        ({"--data": "empty"}, "has no class folders"),
        ({"--format": "csv"}, "--format is 'csv': cnn reads auto, idx, imagefolder"),
        ({"--option": "time=ds"}, "--option.time is unknown to cnn: known are none"),
        ({"--split": "train"}, "has no train split: it has test"),
        (
            {"--horizon": "3"},
            "--horizon is 3: it is for forecasts of series, and this model's task is image-cl",
        ),
        ({"--start": "foo"}, "--start is foo: it is for forecasts of series"),
        ({"--model": "prices", "--split": "train"}, "--split is train: a series has no splits: give --start"),
        ({"--data": "pkg://cats"}, "cats"),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_status_2(
    change: dict[str, str],
    message: str,
    model: Path,
    models: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    models.identity(tmp_path / "bare.onnx")
    models.forecaster(tmp_path / "prices")
    (tmp_path / "empty").mkdir()
    write_pair(tmp_path / "d", "t10k", dark=1, bright=1)
    write_pair(tmp_path / "large", "t10k", dark=1, bright=1, side=(5, 5))
    words = {"--model": str(model), "--data": "d"} | change
    assert main(["evaluate", *(word for pair in words.items() for word in pair)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vaka: ")
    assert len(err.splitlines()) == 1
    assert message in err


def test_torch_is_not_needed(model: Path, tmp_path: Path) -> None:
    write_pair(tmp_path / "d", "t10k", dark=1, bright=1)
    words = ["evaluate", "--model", str(model), "--data", str(tmp_path / "d")]
    code = f"import sys; sys.modules['torch'] = None; from vaka.cli.__main__ import main; main({words})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "accuracy" in done.stdout

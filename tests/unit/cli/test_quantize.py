"""A variant in int8: what it loses is measured and written down, and it is served only if asked for."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaka.api.reasons import Reason
from vaka.artifacts.errors import ModelInvalid
from vaka.artifacts.read import open_model
from vaka.cli.__main__ import main
from vaka.serving.load import ModelSource, load, ready


@pytest.fixture(scope="module")
def quantized(models: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantize")
    model = models.brightness(folder / "model", height=8, width=8)
    chance = np.random.default_rng(1)
    for name, low in (("dark", 0), ("bright", 160)):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(20):
            pixels = chance.integers(low, low + 95, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / "data" / name / f"{i}.png")
    words = ["--model", str(model), "--data", str(folder / "data"), "--output", str(folder / "new")]
    assert main(["quantize", *words]) == 0
    return folder / "new"


def test_the_manifest_says_what_int8_loses(quantized: Path) -> None:
    manifest = json.loads((quantized / "manifest.json").read_text())
    (variant,) = manifest["variants"]
    assert (variant["precision"], variant["file"]) == ("int8", "model.int8.onnx")
    assert {"accuracy", "loss"} <= variant["metrics"].keys() == variant["loss"].keys()
    assert variant["metrics"]["accuracy"] + variant["loss"]["accuracy"] == 1
    assert manifest["files"].keys() == {"model.onnx", "model.int8.onnx"}
    assert manifest["metrics"] == {"accuracy": 1.0}, "those of the model itself stay"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_precision_that_is_asked_for_is_served_and_told(quantized: Path, precision: str) -> None:
    source = ModelSource(name="m", uri=str(quantized), precision=precision)
    model = load(source, quantized)
    images = np.stack([np.full((1, 8, 8), value, np.float32) for value in (10, 240)])
    assert model.predictor.predict({"image": images})["probabilities"].argmax(1).tolist() == [0, 1]
    report = ready(source, model)
    assert report.reason == Reason.READY
    assert report.message.endswith("in int8") == (precision == "int8")
    assert report.model is not None
    assert {m.name for m in report.model.metrics} >= {"accuracy"}
    assert ("loss" in {m.name for m in report.model.metrics}) == (precision == "int8")


def test_a_variant_is_computed_in_whole_numbers(quantized: Path) -> None:
    import onnx

    used = {node.op_type for node in onnx.load(quantized / "model.int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= used


def test_a_batch_is_predicted_in_the_precision_that_is_asked_for(quantized: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.full((3, 8, 8), 240, np.uint8))
    words = [
        "--model",
        str(quantized),
        "--input",
        str(tmp_path / "in.npy"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(["predict", *words, "--precision", "int8"]) == 0
    assert json.loads((tmp_path / "out" / "_plan.json").read_text())["precision"] == "int8"
    assert main(["predict", *words]) == 2, "results of both are never mixed"


def test_a_variant_that_there_is_not_is_told(models: Any, tmp_path: Path) -> None:
    source = ModelSource(name="m", uri=str(models.brightness(tmp_path / "m")), precision="int8")
    with pytest.raises(ModelInvalid, match="has no int8 variant: make one with vaka quantize"):
        load(source, tmp_path)


def test_a_variant_that_was_changed_is_not_served(quantized: Path, tmp_path: Path) -> None:

    copy = Path(shutil.copytree(quantized, tmp_path / "copy"))
    (copy / "model.int8.onnx").write_bytes((copy / "model.onnx").read_bytes())
    with pytest.raises(Exception, match=r"model.int8.onnx has \d+ bytes"):
        open_model(copy)


def test_a_bare_graph_cannot_be_quantized(
    models: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(models.identity(tmp_path / "m.onnx")), "--data", "d", "--output", "o"]
    assert main(["quantize", *words]) == 2
    assert "only a model folder says what its data is" in capsys.readouterr().err

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from vaka.api.architectures.lstm import SeriesOptions
from vaka.api.dataset import DatasetSpec
from vaka.artifacts.runtime import predictor
from vaka.data.dataset import DatasetError
from vaka.models.architecture import Evaluation, Published
from vaka.models.lstm import calibration, evaluate


def measured(model: Published, source: Path, scratch: Path, **asked: Any) -> dict[str, Any]:
    options = asked.pop("options", SeriesOptions())
    how = Evaluation(format="auto", options=options, split="auto", scratch=scratch, **asked)
    return evaluate(predictor(model.folder / "model.onnx"), model, source, how)


@pytest.fixture
def prices(published: Published) -> Path:
    return published.folder.parent / "prices.csv"


def test_the_manifest_tells_the_fields_measures(published: Published) -> None:
    metrics = published.manifest.metrics
    assert {"mase", "pinball", "coverage80", "coverage95", "maeRatio", "beatsRandomWalk"} <= metrics.keys()
    assert metrics["maeRatio"] == 1
    assert published.manifest.options["centres"] == ["last"]


def test_by_itself_it_measures_what_was_not_learned_from(published, prices, tmp_path) -> None:
    found = measured(published, prices, tmp_path)
    assert found["start"] > published.manifest.options["learnedUntil"]
    assert found["mae"] == pytest.approx(published.manifest.metrics["mae"])
    assert found["step1"]["mae"] < found["step4"]["mae"]


def test_where_too_little_is_new_all_is_measured_and_told(published, prices, tmp_path) -> None:
    lines = prices.read_text().splitlines()
    old = [line for line in lines if line[:10] <= published.manifest.options["learnedUntil"][:10]]
    (tmp_path / "old.csv").write_text("\n".join([lines[0], *old]))
    found = measured(published, tmp_path / "old.csv", tmp_path)
    assert found["start"] < published.manifest.options["learnedUntil"]
    assert found["notes"][-1].startswith("0 values are after 2001-")
    assert "all of the series is measured" in found["notes"][-1]
    assert len(measured(published, prices, tmp_path)["notes"]) == 1


def test_horizon_and_start_are_as_asked(published, prices, tmp_path) -> None:
    found = measured(published, prices, tmp_path, horizon=2, start="2001-10-01")
    assert (found["horizon"], found["start"][:10]) == (2, "2001-10-01")
    assert "step4" not in found


def test_a_series_of_other_columns_is_measured_by_naming_them(published, make, tmp_path) -> None:
    two = np.stack([make.walk(300, 3), make.walk(300, 4)], 1)
    file = make.csv(tmp_path / "oil.csv", make.series(two))
    file.write_text(file.read_text().replace("t0", "brent"))
    with pytest.raises(DatasetError, match="no column 't0' beside the times: it has brent, t1"):
        measured(published, file, tmp_path)
    found = measured(published, file, tmp_path, options=SeriesOptions(targets=["brent"]))
    assert found["maeRatio"] == 1


def test_the_only_column_needs_no_name(published, make, tmp_path) -> None:
    file = make.csv(tmp_path / "oil.csv", make.series(make.walk(300, 3)))
    file.write_text(file.read_text().replace("t0", "brent"))
    assert measured(published, file, tmp_path)["maeRatio"] == 1


def test_a_series_is_read_as_that_of_the_training(published, prices, tmp_path) -> None:
    header, *rows = prices.read_text().splitlines()
    turned = [f"19990201,{row[:4]}{row[8:10]}{row[5:7]},{row[11:]}" for row in rows]
    (tmp_path / "turned.csv").write_text("\n".join([f"seen,{header}", *turned, turned[-1]]))
    own = {"timeColumn": "time", "timeFormat": "%Y%d%m", "duplicates": "refuse"}
    manifest = structs.replace(published.manifest, options=published.manifest.options | own)
    model = Published(published.folder, manifest)
    with pytest.raises(DatasetError, match="more than once, and duplicates is refuse"):
        measured(model, tmp_path / "turned.csv", tmp_path)
    found = measured(model, tmp_path / "turned.csv", tmp_path, options=SeriesOptions(duplicates="last"))
    assert found["mae"] == pytest.approx(published.manifest.metrics["mae"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"horizon": 5}, "horizon is 5: the model forecasts 1 to 4 steps"),
        ({"horizon": 0}, "horizon is 0"),
        ({"horizon": -1}, "horizon is -1"),
        ({"start": "2099-01-01"}, "has 0 values from .* on, and 32 must lie before"),
        ({"start": "later"}, "start: 'later' is no time"),
    ],
)
def test_what_cannot_be_measured_is_said(published, prices, tmp_path, asked, told) -> None:
    with pytest.raises(DatasetError, match=told):
        measured(published, prices, tmp_path, **asked)


def test_calibration_takes_windows_of_what_was_learned(published, prices, tmp_path) -> None:
    spec = DatasetSpec(storage_uri=prices.as_uri())
    samples, test = calibration(published, prices, spec, tmp_path)
    assert samples[0]["past"].shape == (1, 32, 1)
    metrics = test(predictor(published.folder / "model.onnx"))
    assert metrics == pytest.approx({name: published.manifest.metrics[name] for name in metrics})

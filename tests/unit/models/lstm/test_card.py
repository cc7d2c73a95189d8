from pathlib import Path

import msgspec

from vaka.artifacts.runtime import predictor
from vaka.models.architecture import Published
from vaka.models.lstm import card
from vaka.models.lstm.series_learner import SeriesLearner


def test_the_card_shows_forecasts_with_their_bands_beside_naive_ones(make, published: Published) -> None:
    learner = SeriesLearner(make.data(make.series(make.walk()), test=0.1), make.settings(), "cpu")
    found = card.card(learner, predictor(published.folder / "model.onnx"))
    pictured, steps, beside, centre = found.sections
    assert pictured.picture is not None
    assert pictured.picture.startswith(b"\x89PNG")
    assert steps.table is not None
    assert [row[0] for row in steps.table.rows] == ["1", "2", "4"]
    assert "does not beat the random walk" in beside.text
    assert centre.table is not None
    assert centre.table.rows[0][:2] == ["t0", "last"]
    assert msgspec.json.encode(found.details)


def test_a_run_leaves_it_in_the_model_folder(published: Published) -> None:
    assert (Path(published.folder) / "card" / "forecasts.png").stat().st_size > 5_000
    assert "Sample forecasts" in (published.folder / "card.html").read_text()
    assert published.manifest.details["byStep"]["1"]["maeRatio"] == 1

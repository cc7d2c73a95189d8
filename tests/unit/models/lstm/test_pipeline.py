import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaka.artifacts.errors import BadInput
from vaka.artifacts.read import open_model
from vaka.models.lstm.pipeline import Forecasting
from vaka.models.pipeline import pipeline
from vaka.serving.predictor import Predictor

PAST = [1.0, 2, 3, 4]


@pytest.fixture(name="predictor")
def predictor_fixture(models, tmp_path: Path) -> Predictor:
    folder = models.forecaster(tmp_path / "model", holidays=["2018-12-25"])
    return Predictor(folder / "model.onnx", open_model(folder))


def predicted(predictor: Predictor, instances: list[Any]) -> list[Any]:
    return predictor.pipeline.predictions(
        predictor.predict(predictor.pipeline.instances(instances, "instances"))
    )


def test_the_recent_past_gives_mean_quantiles_and_times(predictor: Predictor) -> None:
    (found,) = predicted(predictor, [{"past": PAST, "timestamp": "2018-12-21"}])
    assert found.mean == [2, 3, 4]
    assert found.quantiles == {"0.1": [1, 2, 3], "0.5": [2, 3, 4], "0.9": [3, 4, 5]}
    assert found.timestamps == ["2018-12-24T00:00:00Z", "2018-12-26T00:00:00Z", "2018-12-27T00:00:00Z"]


def test_pasts_of_any_length_and_without_times_go_together(predictor: Predictor) -> None:
    first, second = predicted(predictor, [[0, 0, *PAST], {"past": [[v] for v in PAST]}])
    assert first.mean == second.mean == [2, 3, 4]
    assert first.timestamps == []
    times = {"past": PAST, "timestamps": ["2018-12-18", "2018-12-19", "2018-12-20", "2018-12-21"]}
    assert predicted(predictor, [times])[0].timestamps[0] == "2018-12-24T00:00:00Z"
    berlin = {"past": PAST, "timestamp": "2018-12-21T00:00:00+01:00"}
    assert predicted(predictor, [berlin])[0].timestamps[0] == "2018-12-24T00:00:00Z"


def test_tensors_may_be_longer_than_the_context(predictor: Predictor) -> None:
    assert [t.shape for t in predictor.signature.inputs] == [[-1, -1, 1], [-1, 1]]
    past = np.array([[0.0, *PAST]])[..., None]
    found = predictor.predict({"past": past, "timestamp": np.array([["2018-12-21"]], object)}, ["timestamps"])
    assert found["timestamps"].tolist()[0][0] == "2018-12-24T00:00:00Z"


def test_a_model_on_the_server_is_warm_before_it_is_asked(predictor: Predictor) -> None:
    predictor.warm_up(2)
    assert predictor.batchable


@pytest.mark.parametrize(
    ("instance", "told"),
    [
        ([1, 2, 3], "instances[0].past has 3 values: the model needs the newest 4 or more"),
        ([1, 2, 3, "4"], "instances[0].past: not all values are numbers"),
        ([1, 2, 3, None], "instances[0].past: not all values are numbers"),
        ([[1, 2]] * 4, "instances[0].past must be a list of rows with 1 numbers: price"),
        ({"prices": PAST}, "instances[0]: Object contains unknown field `prices`"),
        ({"past": PAST, "future": [[1]]}, "instances[0].future: the model knows no covariates ahead"),
        ({"past": PAST, "timestamp": "soon"}, "timestamp[0]: 'soon' is no time in ISO 8601"),
        (7, "instances[0]: Expected `array`, got `int`"),
    ],
)
def test_what_is_wrong_is_said(predictor: Predictor, instance: Any, told: str) -> None:
    with pytest.raises(BadInput, match=re.escape(told)):
        predicted(predictor, [instance])


def test_tensors_with_gaps_or_too_short_are_refused(predictor: Predictor) -> None:
    stamp = np.array([[""]], object)
    with pytest.raises(BadInput, match="input 'past' has NaN or infinity: fill the gaps"):
        predictor.predict({"past": np.full((1, 4, 1), np.nan), "timestamp": stamp})
    with pytest.raises(BadInput, match="input 'past' has 3 values: the model needs the newest 4 or more"):
        predictor.predict({"past": np.ones((1, 3, 1)), "timestamp": stamp})


def test_values_are_taken_as_far_as_they_can_be_forecast_from(published) -> None:
    own = Predictor(published.folder / "model.onnx", published.manifest)
    values = 1e100 * (-1.0) ** np.arange(32)
    stamp = np.array([[""]], object)
    found = own.predict({"past": values.reshape(1, -1, 1), "timestamp": stamp})
    assert all(np.isfinite(found[name]).all() for name in ("mean", "quantiles"))
    with pytest.raises(BadInput, match=r"input 'past' has -1e\+300: give values from -1e\+100 to 1e\+100"):
        own.predict({"past": np.full((1, 32, 1), -1e300), "timestamp": stamp})


def test_a_model_of_logarithms_refuses_what_has_none(models, tmp_path: Path) -> None:
    folder = models.forecaster(tmp_path / "model", positive=True)
    with pytest.raises(BadInput, match="values that are not positive: price must be"):
        predicted(Predictor(folder / "model.onnx", open_model(folder)), [[1, 2, 3, -4]])


def test_what_is_known_ahead_is_asked_for(models, tmp_path: Path) -> None:
    folder = models.forecaster(tmp_path / "model", known=["holiday"])
    own = pipeline(open_model(folder), folder)
    assert isinstance(own, Forecasting)
    rows = [[value, 0] for value in PAST]
    found = own.instances([{"past": rows, "future": [0, 1, 0]}], "instances")
    assert found["future"].shape == (1, 3, 1)
    with pytest.raises(BadInput, match="future has 0 rows: holiday are needed for 3 steps"):
        own.instances([{"past": rows}], "instances")

"""KServe's API for forecasts: https://kserve.github.io/website/docs/reference/time_series/api"""

from typing import Any

import httpx
import numpy as np
import pytest

from vaka.serving.timeseries import quantiles_at

SERIES = {
    "type": "univariate_time_series",
    "name": "oil",
    "series": [1, 2, 3, 4],
    "frequency": "D",
    "start_timestamp": "2018-12-18T00:00:00Z",
}


@pytest.fixture
async def client(serve, models, tmp_path) -> httpx.AsyncClient:
    return await serve(models.forecaster(tmp_path / "model"))


async def ask(client: httpx.AsyncClient, *inputs: dict[str, Any], **options: Any) -> httpx.Response:
    body = {"model": "m", "inputs": [SERIES | one for one in inputs], "options": {"horizon": 2} | options}
    return await client.post("/v1/timeseries/forecast", json=body)


async def test_the_answer_is_as_the_api_has_it(client) -> None:
    answer = (await ask(client, {}, {"name": "gas", "start_timestamp": None}, quantiles=[0.1, 0.9])).json()
    assert (answer["status"], answer["error"], answer["model"]) == ("completed", None, "m")
    first, second = (output["content"][0] for output in answer["outputs"])
    assert answer["outputs"][0]["type"] == "time_series_forecast"
    assert first["mean_forecast"] == [2, 3]
    assert first["quantiles"] == {"0.1": [1, 2], "0.9": [3, 4]}
    assert (first["name"], first["frequency"]) == ("oil", "D")
    assert first["start_timestamp"] == "2018-12-24T00:00:00Z", "from Friday to Monday: business days"
    assert second["start_timestamp"] == ""


async def test_without_quantiles_there_is_the_mean_alone(client) -> None:
    answer = (await ask(client, {})).json()
    assert "quantiles" not in answer["outputs"][0]["content"][0]


@pytest.mark.parametrize(
    ("one", "options", "told"),
    [
        ({"series": [1, 2]}, {}, "inputs[0].series has 2 values: the model needs the newest 4 or more"),
        ({"type": "multivariate_time_series"}, {}, "inputs[0].type is multivariate_time_series"),
        ({"frequency": "H"}, {}, "inputs[0].frequency is 'H': the model forecasts D"),
        ({"start_timestamp": "soon"}, {}, "inputs[0].start_timestamp: 'soon' is no time"),
        ({"timestamp": "soon"}, {}, "inputs[0].timestamp: 'soon' is no time"),
        ({"start_timestamp": "0001-01-01T10:00:00+14:00"}, {}, "inputs[0].start_timestamp: '0001-01-01T10"),
        (
            {"start_timestamp": "9999-12-30"},
            {},
            "inputs[0].start_timestamp is '9999-12-30': the last value's",
        ),
        ({}, {"horizon": 4}, "options.horizon is 4: the model forecasts 1 to 3 steps"),
        ({}, {"horizon": 0}, "the body is not a forecast request: Expected `int` >= 1"),
        ({}, {"quantiles": [0.05]}, "options.quantiles has 0.05: the model knows 0.1 to 0.9"),
    ],
)
async def test_what_is_wrong_is_said_as_the_api_says_it(client, one, options, told) -> None:
    answer = await ask(client, one, **options)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("400", "BadRequest")
    assert error["message"].startswith(told)


async def test_other_models_do_not_forecast(serve, models, tmp_path) -> None:
    other = await serve(models.brightness(tmp_path / "model"))
    answer = await ask(other, {})
    assert (answer.status_code, "does not forecast" in answer.json()["error"]["message"]) == (400, True)
    body = {"model": "n", "inputs": [SERIES], "options": {"horizon": 1}}
    assert (await other.post("/v1/timeseries/forecast", json=body)).status_code == 404
    assert (await other.get("/v1/timeseries/forecast")).status_code == 405


async def test_both_other_protocols_forecast_too(client) -> None:
    v1 = await client.post("/v1/models/m:predict", json={"instances": [[1, 2, 3, 4]]})
    assert v1.json()["predictions"][0]["mean"] == [2, 3, 4]
    past = {"name": "past", "datatype": "FP64", "shape": [1, 5, 1], "data": [0, 1, 2, 3, 4]}
    stamp = {"name": "timestamp", "datatype": "BYTES", "shape": [1, 1], "data": ["2018-12-21"]}
    v2 = await client.post("/v2/models/m/infer", json={"inputs": [past, stamp]})
    outputs = {output["name"]: output for output in v2.json()["outputs"]}
    assert outputs["mean"]["data"] == [2, 3, 4]
    assert outputs["timestamps"]["data"][0] == "2018-12-24T00:00:00Z"


async def test_the_api_is_described_where_it_is_answered(client) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]["/v1/timeseries/forecast"]["post"]
    body = described["requestBody"]["content"]["application/json"]
    answer = await client.post("/v1/timeseries/forecast", json=body["example"])
    assert answer.status_code == 200
    assert set(body["schema"]["required"]) == {"model", "inputs", "options"}
    assert (await client.get("/docs")).status_code == 200


def test_between_quantiles_it_is_as_if_normal() -> None:
    known = np.array([-1.2816, 0, 1.2816])
    found = quantiles_at(known, (0.1, 0.5, 0.9), [0.1, 0.25, 0.5, 0.9])
    assert found == pytest.approx([-1.2816, -0.6745, 0, 1.2816], abs=1e-3)

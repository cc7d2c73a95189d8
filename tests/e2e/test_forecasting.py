"""From one YAML each to forecasts of real prices, with real pods."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_trains_serves_and_forecasts(namespace: Any) -> None:
    for name in ("wti-lstm.yaml", "wti-lstm-service.yaml"):
        namespace.kubectl("apply", "-f", str(EXAMPLES / name))
    model = namespace.wait("tj/wti-lstm", "Complete", seconds=400)["status"]["model"]
    metrics = {metric["name"]: float(metric["value"]) for metric in model["metrics"]}
    assert metrics["maeRatio"] == pytest.approx(1, abs=1e-3), "nobody beats the random walk"
    assert metrics["pinballRatio"] < 1
    assert metrics["beatsRandomWalk"] == 0
    namespace.wait("isvc/wti-lstm", "Ready", seconds=120)
    found = forecast(namespace)
    assert found["mean_forecast"] == [47.0] * 5
    assert found["quantiles"]["0.1"][4] < 47 < found["quantiles"]["0.9"][4]
    assert found["start_timestamp"] == "2019-01-07T00:00:00Z"


def forecast(namespace: Any) -> dict[str, Any]:
    """What the service says after Friday, 4 January 2019, by KServe's API."""
    series = [46 + (i % 7) / 4 for i in range(199)]
    one = {"type": "univariate_time_series", "name": "wti", "series": [*series, 47.0], "frequency": "D"}
    body = {
        "model": "wti-lstm",
        "inputs": [one | {"timestamp": "2019-01-04"}],
        "options": {"horizon": 5, "quantiles": [0.1, 0.9]},
    }
    status, answer = namespace.post("wti-lstm", "/v1/timeseries/forecast", body)
    assert status == 200, answer
    content: dict[str, Any] = answer["outputs"][0]["content"][0]
    return content

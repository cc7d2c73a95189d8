"""A training run is decided by its seed; what it publishes keeps the last value where nothing beats it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaka.api.architectures.lstm import SeriesOptions
from vaka.artifacts.runtime import Predict, predictor
from vaka.data.dataset import DatasetError
from vaka.models.architecture import Part
from vaka.models.lstm.rolling import Known, inputs_at, roll
from vaka.models.lstm.series_learner import SeriesLearner
from vaka.training.export import export
from vaka.training.loop import begin, fit


def learner(make, values: np.ndarray, frequency: str = "B", **changes: Any) -> SeriesLearner:
    roles = {name: changes.pop(name, 0) for name in ("observed", "known")}
    data = make.data(make.series(values, frequency, **roles))
    return SeriesLearner(data, make.settings(**changes), "cpu")


def trained(one: SeriesLearner, folder: Path) -> Predict:
    state = begin(one, one.hyper, lambda _: None)
    fit(one, one.hyper, state)
    network = state.result()
    export(one.graph(network), network, folder)
    return predictor(folder / "model.onnx")


def test_a_step_gives_the_same_loss_whenever_it_comes(make) -> None:
    forth, back = learner(make, make.walk()), learner(make, make.walk())
    losses = [forth.loss(step).item() for step in range(6)]
    assert [back.loss(step).item() for step in reversed(range(6))] == losses[::-1]
    assert len(set(losses)) == 6


def test_another_seed_is_another_run(make) -> None:
    one, other = (learner(make, make.walk(), seed=seed).loss(0).item() for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_and_pieces_add_up_to_the_whole(make, processes: int) -> None:
    whole, parts = learner(make, make.walk()), []
    for rank in range(processes):
        one = learner(make, make.walk(), accumulate_steps=2)
        one.part = Part(rank, processes)
        parts += [one.loss(3, piece).item() for piece in range(2)]
    assert sum(parts) == pytest.approx(whole.loss(3).item(), rel=1e-5)


def test_processes_validate_together(make) -> None:
    whole, found = learner(make, make.walk()), []
    for rank in range(3):
        one = learner(make, make.walk())
        one.part = Part(rank, 3, total=lambda own: found.append(own) or own)  # type: ignore[func-returns-value]
        one.validate(one.network.eval())
    mean = sum(found) / len(whole.validation)
    assert whole.validate(whole.network.eval())["validationLoss"] == pytest.approx(float(mean), rel=1e-5)


@pytest.fixture(scope="module")
def walked(make, tmp_path_factory: pytest.TempPathFactory) -> tuple[SeriesLearner, Predict]:
    one = learner(make, make.walk(1200))
    return one, trained(one, tmp_path_factory.mktemp("walk"))


def test_where_nothing_beats_the_random_walk_the_mean_is_its_to_the_last_digit(walked) -> None:
    one, predict = walked
    origins = one.windows.origins(900, 1200)
    inputs = inputs_at(one.windows, origins)
    mean = predict(inputs)["mean"]
    assert (mean == inputs["past"][:, -1:]).all()
    metrics = one.test(predict)
    assert metrics["maeRatio"] == 1
    assert metrics["beatsRandomWalk"] == 0


def test_its_quantiles_are_ordered_and_better_than_those_of_past_moves(walked) -> None:
    one, predict = walked
    quantiles = predict(inputs_at(one.windows, one.windows.origins(900, 1200)))["quantiles"]
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    metrics = one.test(predict)
    assert metrics["pinballRatio"] < 1
    assert 0.6 < metrics["coverage80"] < 0.95


def test_a_flat_window_has_a_forecast(walked) -> None:
    one, predict = walked
    found = predict({"past": np.full((1, one.shape.context, 1), -3.0)})
    assert np.isfinite(found["quantiles"]).all()
    assert (found["mean"] == -3).all()


def test_a_seasonal_series_is_forecast_better_than_by_its_season(make, tmp_path: Path) -> None:
    one = learner(make, make.seasonal(), "M", horizon=12, context=36)
    metrics = one.test(trained(one, tmp_path))
    assert metrics["maeRatioSeasonalNaive"] < 0.8
    assert metrics["beatsRandomWalk"] == 1


@pytest.mark.parametrize("unit", [1e-6, 1e9])
def test_the_unit_of_a_series_does_not_matter(make, tmp_path: Path, unit: float) -> None:
    one = learner(make, make.walk() * unit)
    metrics = one.test(trained(one, tmp_path))
    assert metrics["pinballRatio"] == pytest.approx(learner_ratio(make, tmp_path / "1"), rel=1e-2)


def learner_ratio(make, folder: Path) -> float:
    folder.mkdir()
    one = learner(make, make.walk())
    return one.test(trained(one, folder))["pinballRatio"]


def test_a_short_series_holds_out_as_much_as_is_forecast(make, tmp_path: Path) -> None:
    data = make.data(make.series(make.seasonal(96), "M"), validation=0.1, test=0.1)
    one = SeriesLearner(data, make.settings(horizon=12, context=None), "cpu")
    assert len(one.validation) == 1
    metrics = one.test(trained(one, tmp_path))
    assert metrics["maeRatioSeasonalNaive"] < 0.8


def test_a_single_window_of_validation_says_little_of_the_intervals(make) -> None:
    data = make.data(make.series(make.seasonal(96), "M"), validation=0.1, test=0.1)
    one = SeriesLearner(data, make.settings(horizon=12, context=None), "cpu")
    spread = one.graph(one.network).module.spread / one.plan.centres[0].optimism
    assert (spread - 1).abs().max() < 0.01


def test_the_model_keeps_how_its_series_was_read(make) -> None:
    options = SeriesOptions(time_column="day", time_format="%d.%m.%Y", gaps="skip", duplicates="mean")
    data = replace(make.data(make.series(make.walk())), options=options)
    one = SeriesLearner(data, make.settings(), "cpu")
    kept = one.graph(one.network).options
    assert [kept[name] for name in ("timeColumn", "timeFormat")] == ["day", "%d.%m.%Y"]
    assert [kept[name] for name in ("gaps", "duplicates")] == ["skip", "mean"]


def test_several_targets_and_covariates_go_into_one_graph(make, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    values = np.stack([make.walk(400), make.walk(400, 2), random.random(400), random.random(400)], 1)
    one = learner(make, values, observed=1, known=1)
    predict = trained(one, tmp_path)
    found = predict(inputs_at(one.windows, one.windows.origins(0, 100)))
    assert found["mean"].shape[1:] == (4, 2)
    assert found["quantiles"].shape[1:] == (4, 2, 9)


def test_training_changes_little_but_the_same_each_time(make, tmp_path: Path) -> None:
    runs = []
    for place in ("a", "b"):
        one = learner(make, make.walk())
        (tmp_path / place).mkdir()
        predict = trained(one, tmp_path / place)
        runs.append(predict(inputs_at(one.windows, one.windows.origins(0, 80)))["quantiles"])
    assert (runs[0] == runs[1]).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"context": 400}, "has 300 values left to train on: context 400 and horizon 4 need 412: lower them"),
        ({"horizon": 250}, "has 0 values left to train on: context 32 and horizon 250 need 290"),
    ],
)
def test_a_series_that_is_too_short_is_refused(make, changes: dict[str, int], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        learner(make, make.walk(), **changes)


def test_a_series_that_never_changes_is_refused(make) -> None:
    with pytest.raises(DatasetError, match="t0 never changes: there is nothing to forecast"):
        learner(make, np.full(500, 3.0))


def test_a_series_that_stands_still_at_the_end_has_measures(make, tmp_path: Path) -> None:
    values = make.walk()
    values[350:] = values[350]
    metrics = (one := learner(make, values)).test(trained(one, tmp_path))
    assert metrics["maeRatio"] == 1
    assert np.isfinite(list(metrics.values())).all()


def test_rolling_origins_do_not_look_ahead(walked) -> None:
    one, predict = walked
    series = one.data.series
    known = Known.of(one._options())
    rolled = roll(predict, known, series, 1100, 2)
    assert rolled.origins[0] == 1099
    assert rolled.origins[-1] + 2 == len(series) - 1
    assert rolled.truth[0, :, 0].tolist() == series.values[1100:1102, 0].tolist()


def test_it_can_be_seeded_without_touching_others(make) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one = learner(make, make.walk())
    torch.manual_seed(7)
    one.loss(0)
    assert torch.rand(1) == expected

"""Trials one after the other, with trainers that only report."""

from collections.abc import Callable

import msgspec
import pytest

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, PublishedModel, Report
from vaka.api.dataset import DatasetSpec
from vaka.api.run import Run
from vaka.api.search import SearchSpec
from vaka.api.trainingjob import ModelSpec, TrainingJobSpec
from vaka.api.types import Metric
from vaka.cli import search as module
from vaka.cli import trainer
from vaka.cli.errors import UserError
from vaka.cli.trainer import Outcome
from vaka.search.study import Trial
from vaka.search.trial import trial_spec

MODEL = ModelSpec(architecture="cnn")


def run_of(trial: Trial) -> Run:
    spec = TrainingJobSpec(model=MODEL, dataset=DatasetSpec(storage_uri="pkg://mnist"))
    name = str(trial.number)
    return Run(name=name, namespace="", uid="", spec=trial_spec(spec, trial), public_output="")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., module.Best]:
    """Searches with a trainer that achieves these accuracies, or ends with these codes."""

    def search(*ends: float | int, most: int | None = None) -> module.Best:
        def train(run: Run, show: Callable[[Report], None]) -> Outcome:
            end = ends[int(run.name) - 1]
            if isinstance(end, int):
                return Outcome(end, Report(reason="Odd", message="it broke"), [])
            metrics = [Metric(name="accuracy", value=str(end))]
            show(Report(reason="Training", epoch=1, metrics=metrics))
            assert end > 0.3, "it should have been pruned"
            return Outcome(0, Report(reason="", model=PublishedModel(uri="", digest="", metrics=metrics)), [])

        monkeypatch.setattr(trainer, "train", train)
        parameters = [{"name": "width", "min": 8, "max": 64}]
        given = {"maxTrials": most or len(ends), "parallelTrials": 3, "parameters": parameters}
        return module.search(MODEL, msgspec.convert(given, SearchSpec), run_of)

    return search


def test_the_best_wins_and_what_falls_behind_is_pruned(
    run: Callable[..., module.Best], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(0.5, 0.6, EXIT_CONFIG, 0.9, 0.7, 0.8, 0.2).run.name == "4"
    told = capsys.readouterr().err
    assert "trial 3 of 7: Failed, it broke: width=" in told
    assert "trial 7 of 7: Pruned, accuracy is worse than the median: width=" in told


def test_broken_data_ends_the_search_at_once(run: Callable[..., module.Best]) -> None:
    with pytest.raises(UserError, match="it broke"):
        run(EXIT_DATA, most=9)


def test_a_search_without_a_success_says_so(run: Callable[..., module.Best]) -> None:
    with pytest.raises(UserError, match="none of 2 trials succeeded"):
        run(1, 1)

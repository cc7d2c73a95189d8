"""spec.search on this machine: the trials one after the other."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import msgspec

from vaka.api.contract import EXIT_DATA, PublishedModel, Report
from vaka.api.run import Run
from vaka.api.search import SearchSpec
from vaka.api.trainingjob import ModelSpec
from vaka.api.types import Metric
from vaka.cli.errors import UserError
from vaka.search.space import Space, metric_of, space_of
from vaka.search.study import State, Trial, best_of, next_trials, to_prune


class Pruned(Exception):
    """A trial need not go on."""


class Best(NamedTuple):
    """The trial that did best."""

    run: Run
    model: PublishedModel


def search(model: ModelSpec, spec: SearchSpec, run_of: Callable[[Trial], Run]) -> Best:
    """Run the trials, and tell of each how it went; UserError where none succeeds."""
    spec = msgspec.structs.replace(spec, parallel_trials=1)
    attempt = _Attempts(spec, space_of(model, spec), metric_of(model, spec), run_of)
    while new := next_trials(spec, attempt.space, attempt.trials):
        attempt.make(new[0])
    best = best_of(spec, attempt.trials)
    if best is None:
        raise UserError(f"none of {len(attempt.trials)} trials succeeded: the lines above say why")
    return attempt.done[best.number]


class _Attempts:
    """The trials so far, and the models of those that succeeded."""

    def __init__(self, spec: SearchSpec, space: Space, metric: str, run_of: Callable[[Trial], Run]) -> None:
        self.spec = spec
        self.space = space
        self.trials: list[Trial] = []
        self.done: dict[int, Best] = {}
        self._metric = metric
        self._run_of = run_of

    def make(self, trial: Trial) -> None:
        """Run one more."""
        ended, told = self._outcome(replace(trial, state=State.RUNNING))
        self.trials.append(replace(ended, alive=False))
        given = " ".join(f"{name}={value}" for name, value in trial.parameters.items())
        line = f"trial {trial.number} of {self.spec.max_trials}: {ended.state}, {told}: {given}"
        print(line, file=sys.stderr, flush=True)

    def _outcome(self, trial: Trial) -> tuple[Trial, str]:
        from vaka.cli.display import display
        from vaka.cli.trainer import forget_checkpoints, train

        run = self._run_of(trial)
        try:
            with display(run.name) as show:
                code, report, _ = train(run, lambda report: self._watch(trial, report, show))
        except Pruned:
            forget_checkpoints(run)
            return replace(trial, state=State.PRUNED), f"{self._metric} is worse than the median"
        told = report.message if report else f"the trainer ended with {code} and said nothing"
        if code == EXIT_DATA:
            raise UserError(told)
        model = report.model if report and not code else None
        value = _value(model.metrics, self._metric) if model else None
        if model is None or value is None:
            told = told if model is None else f"its model has no {self._metric}"
            return replace(trial, state=State.FAILED), told
        self.done[trial.number] = Best(run, model)
        forget_checkpoints(run)
        return replace(trial, state=State.SUCCEEDED, value=value), f"{self._metric} {value:.5g}"

    def _watch(self, trial: Trial, report: Report, show: Callable[[Report], None]) -> None:
        """Show the report, and end the trial with Pruned where it does worse than the others."""
        show(report)
        value = _value(report.metrics, self._metric)
        if report.epoch and value is not None and report.model is None:
            trial.values[report.epoch] = value
            if to_prune(self.spec, self.space, [*self.trials, trial]):
                raise Pruned


def _value(metrics: list[Metric], name: str) -> float | None:
    return next((float(metric.value) for metric in metrics if metric.name == name), None)

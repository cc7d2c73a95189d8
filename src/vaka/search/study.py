"""Optuna's samplers and pruners, asked anew each time with the trials as they are.

Optuna takes half a second to import and is imported only where a search has something to decide.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from vaka.api.search import SearchSpec
from vaka.search.space import Dimension, Space

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

STARTUP_TRIALS = 5
"""How many trials must have finished before one is pruned."""


class State(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    PRUNED = "Pruned"


UNDER_WAY = (State.PENDING, State.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial as it is; numbers count from 1."""

    number: int
    parameters: dict[str, Any]
    state: State = State.PENDING
    value: float | None = None
    values: dict[int, float] = field(default_factory=dict)
    """The objective by epoch."""
    alive: bool = True
    """It holds a place among the parallel ones: one that is stopped does so until it has ended."""


def next_trials(search: SearchSpec, space: Space, trials: Sequence[Trial]) -> list[Trial]:
    """The trials to start now: the same, whoever asks and however often, until one of them is there.

    What is chosen for a trial follows from the seed, its number and the trials before it.
    """
    last = max((trial.number for trial in trials), default=0)
    alive = sum(trial.alive for trial in trials)
    room = min(search.parallel_trials - alive, search.max_trials - last)
    new: list[Trial] = []
    for number in range(last + 1, last + 1 + room):
        parameters = _suggest(search, space, [*trials, *new], number)
        new.append(Trial(number=number, parameters=parameters))
    return new


def to_prune(search: SearchSpec, space: Space, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that need not go on: at their epoch, what was best so far is below the others' median."""
    finished = sum(trial.state is State.SUCCEEDED for trial in trials)
    running = [t for t in trials if t.state is State.RUNNING and t.values and _fits(t, space)]
    if search.pruner == "none" or finished < STARTUP_TRIALS or not running:
        return []
    from optuna.pruners import MedianPruner

    pruner = MedianPruner(n_startup_trials=STARTUP_TRIALS)
    study = _study(search, space, trials)
    return [trial for trial in running if pruner.prune(study, _frozen(trial, space))]


def best_of(search: SearchSpec, trials: Iterable[Trial]) -> Trial | None:
    """The best of the trials that succeeded; the earliest of equals."""
    sign = 1 if search.objective.goal == "maximize" else -1
    succeeded = (t for t in trials if t.state is State.SUCCEEDED and t.value is not None)
    return max(succeeded, key=lambda t: (sign * (t.value or 0.0), -t.number), default=None)


def _suggest(search: SearchSpec, space: Space, trials: Sequence[Trial], number: int) -> dict[str, Any]:
    from optuna.samplers import RandomSampler, TPESampler

    seed = int.from_bytes(hashlib.sha256(f"{search.seed} {number}".encode()).digest()[:4])
    sampler = TPESampler(seed=seed) if search.sampler == "tpe" else RandomSampler(seed=seed)
    study = _study(search, space, trials, sampler)
    return study.ask({name: _distribution(dimension) for name, dimension in space.items()}).params


def _study(
    search: SearchSpec,
    space: Space,
    trials: Iterable[Trial],
    sampler: "optuna.samplers.BaseSampler | None" = None,
) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=search.objective.goal, sampler=sampler)
    fitting = (trial for trial in sorted(trials, key=lambda t: t.number) if _fits(trial, space))
    study.add_trials([_frozen(trial, space) for trial in fitting])
    return study


def _fits(trial: Trial, space: Space) -> bool:
    """Somebody may have changed a trial's hyper-parameters by hand before it began."""
    given = trial.parameters
    return given.keys() == space.keys() and all(space[name].holds(value) for name, value in given.items())


def _frozen(trial: Trial, space: Space) -> "optuna.trial.FrozenTrial":
    from optuna.trial import TrialState, create_trial

    states = {
        State.SUCCEEDED: TrialState.COMPLETE,
        State.FAILED: TrialState.FAIL,
        State.PRUNED: TrialState.PRUNED,
    }
    return create_trial(
        state=states.get(trial.state, TrialState.RUNNING),
        value=trial.value if trial.state is State.SUCCEEDED else None,
        params=trial.parameters,
        distributions={name: _distribution(dimension) for name, dimension in space.items()},
        intermediate_values=trial.values,
    )


def _distribution(dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    low, high, step, log = dimension.low, dimension.high, dimension.step, dimension.log
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=step)

"""What a search does next, whatever has happened to its trials."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaka.api.search import SearchSpec
from vaka.api.trainingjob import ModelSpec
from vaka.search.space import space_of
from vaka.search.study import State, Trial, best_of, next_trials, to_prune

CNN = ModelSpec(architecture="cnn")
Make = Callable[..., SearchSpec]
ENDS = (State.SUCCEEDED, State.FAILED, State.PRUNED)
WEIGHT_DECAY = {"name": "weightDecay", "min": 0, "max": 1}
SMOOTHING = {"name": "labelSmoothing", "min": 0, "max": 0.99}


def ended(trial: Trial, state: State, value: float = 0.5) -> Trial:
    value_of_state = value if state is State.SUCCEEDED else None
    return dataclasses.replace(trial, state=state, value=value_of_state, values={1: value}, alive=False)


def objective(trial: Trial) -> float:
    """A valley with its bottom at 0.3, 0.1."""
    x, y = trial.parameters["weightDecay"], trial.parameters["labelSmoothing"]
    return float((x - 0.3) ** 2 + (y - 0.1) ** 2)


def finish(search: SearchSpec) -> list[Trial]:
    """The whole search, one trial after the other."""
    space = space_of(CNN, search)
    trials: list[Trial] = []
    while new := next_trials(search, space, trials):
        trials += [ended(trial, State.SUCCEEDED, objective(trial)) for trial in new]
    return trials


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), sampler=st.sampled_from(["tpe", "random"]))
def test_there_are_never_more_trials_than_allowed_and_each_fits_its_space(
    search: Make, data: st.DataObject, sampler: str
) -> None:
    most, parallel = data.draw(st.integers(1, 15)), data.draw(st.integers(1, 5))
    spec = search(maxTrials=most, parallelTrials=parallel, sampler=sampler)
    space = space_of(CNN, spec)
    trials: list[Trial] = []
    while new := next_trials(spec, space, trials):
        trials += new
        assert sum(trial.alive for trial in trials) <= parallel
        assert [trial.number for trial in trials] == list(range(1, len(trials) + 1))
        assert all(space[name].holds(value) for t in new for name, value in t.parameters.items())
        ending = data.draw(st.sets(st.sampled_from([t.number for t in trials if t.alive]), min_size=1))
        trials = [ended(t, data.draw(st.sampled_from(ENDS))) if t.number in ending else t for t in trials]
    assert len(trials) == most


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    states=st.lists(st.sampled_from([*ENDS, State.RUNNING]), max_size=14),
    made=st.integers(0, 3),
    seed=st.integers(0, 5),
)
def test_who_was_killed_between_two_trials_goes_on_with_the_same(
    search: Make, states: list[State], made: int, seed: int
) -> None:
    """The trials that are there already, found in whatever order, lead to those that are missing."""
    spec = search(maxTrials=99, parallelTrials=3 + states.count(State.RUNNING), seed=seed)
    space = space_of(CNN, spec)
    before: list[Trial] = []
    for number, state in enumerate(states, 1):
        (trial,) = next_trials(search(seed=seed, maxTrials=99), space, [ended(t, t.state) for t in before])
        before.append(trial if state is State.RUNNING else ended(trial, state, 1 / number))
    new = next_trials(spec, space, before)
    assert len(new) == 3
    assert next_trials(spec, space, [*reversed(new[:made]), *reversed(before)]) == new[made:]


def test_seeds_lead_to_different_trials(search: Make) -> None:
    spec = search(parallelTrials=9)
    first = next_trials(spec, space_of(CNN, spec), [])
    assert len({repr(trial.parameters) for trial in first}) == 9
    other = search(seed=1)
    assert next_trials(other, space_of(CNN, other), []) != first[:1]


def test_tpe_does_better_than_chance(search: Make) -> None:
    def mean_of_best(sampler: str) -> float:
        specs = [
            search(
                parameters=[WEIGHT_DECAY, SMOOTHING],
                objective={"metric": "loss", "goal": "minimize"},
                sampler=sampler,
                maxTrials=30,
                seed=seed,
            )
            for seed in range(5)
        ]
        return sum(min(map(objective, finish(spec))) for spec in specs) / len(specs)

    assert mean_of_best("tpe") < mean_of_best("random")


def test_what_is_minimized_is_best_where_it_is_least(search: Make) -> None:
    trials = [
        ended(Trial(number=n, parameters={}), State.SUCCEEDED, v) for n, v in ((1, 2.0), (2, 1.0), (3, 1.0))
    ]
    lost = [ended(Trial(number=4, parameters={}), State.FAILED), Trial(number=5, parameters={})]
    best = best_of(search(objective={"goal": "minimize"}), [*trials, *lost])
    assert best is trials[1]
    best = best_of(search(), [*trials, *lost])
    assert best is trials[0]
    assert best_of(search(), lost) is None


def running(number: int, parameters: dict[str, Any], **values: float) -> Trial:
    by_epoch = {int(name.removeprefix("at_")): value for name, value in values.items()}
    return Trial(number=number, parameters=parameters, state=State.RUNNING, values=by_epoch)


def test_only_a_trial_that_is_worse_than_the_median_at_its_epoch_is_pruned(search: Make) -> None:
    spec = search(parallelTrials=9)
    space = space_of(CNN, spec)
    p = next_trials(spec, space, [])[0].parameters
    finished = [
        dataclasses.replace(
            running(n, p, at_1=0.5 + n / 100, at_2=0.9), state=State.SUCCEEDED, value=0.9, alive=False
        )
        for n in range(1, 6)
    ]
    bad, good, silent = running(6, p, at_1=0.2), running(7, p, at_1=0.6), running(8, p)
    odd = running(9, p, at_7=0.1)
    assert to_prune(spec, space, [*finished, bad, good, silent, odd]) == [bad]
    assert to_prune(spec, space, [*finished[1:], bad]) == [], "too few to compare with"
    assert to_prune(search(pruner="none"), space, [*finished, bad]) == []
    least = search(objective={"goal": "minimize"})
    assert to_prune(least, space, [*finished, bad, good]) == [good]


def test_a_trial_that_somebody_changed_by_hand_is_left_out(search: Make) -> None:
    spec = search()
    space = space_of(CNN, spec)
    odd = ended(Trial(number=1, parameters={"width": 7}), State.SUCCEEDED)
    (second,) = next_trials(spec, space, [odd])
    assert second.number == 2


def test_optuna_is_not_imported_before_it_is_needed() -> None:
    told = "import sys, vaka.search.study; raise SystemExit('optuna' in sys.modules)"
    subprocess.run([sys.executable, "-c", told], check=True)


def test_optuna_decides_without_the_database_parts_that_the_image_leaves_out() -> None:
    told = """
import sys
sys.modules |= dict.fromkeys(("alembic", "sqlalchemy", "mako", "markupsafe"))
import msgspec
from vaka.api.search import SearchSpec
from vaka.api.trainingjob import ModelSpec
from vaka.search.space import space_of
from vaka.search.study import next_trials
search = msgspec.convert({"parameters": [{"name": "width", "min": 8, "max": 64}]}, SearchSpec)
assert next_trials(search, space_of(ModelSpec(architecture="cnn"), search), [])
"""
    subprocess.run([sys.executable, "-c", told], check=True)

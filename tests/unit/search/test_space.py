"""What may be searched, and what people read where it may not."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from vaka.api.search import SearchSpec
from vaka.api.trainingjob import ModelSpec
from vaka.search.space import Dimension, metric_of, space_of

CNN = ModelSpec(architecture="cnn")
CUSTOM = ModelSpec(architecture="custom")
Make = Callable[..., SearchSpec]


def test_dimensions_have_the_types_of_their_hyperparameters(search: Make) -> None:
    assert space_of(CNN, search()) == {
        "learningRate": Dimension(low=0.001, high=0.1, log=True),
        "width": Dimension(low=8, high=64, step=8),
        "augment": Dimension(choices=(True, False)),
    }


def test_the_last_step_is_the_end_of_the_range(search: Make) -> None:
    given = [{"name": "width", "min": 8, "max": 63, "step": 8}]
    given.append({"name": "weightDecay", "min": 0, "max": 0.35, "step": 0.1})
    space = space_of(CNN, search(parameters=given))
    assert (space["width"].high, space["weightDecay"].high) == (56, 0.3)


def test_a_container_of_ones_own_takes_what_its_image_knows(search: Make) -> None:
    given = [{"name": "layers", "min": 1, "max": 4}, {"name": "decay", "min": 0.5, "max": 1}]
    space = space_of(CUSTOM, search(parameters=given, objective={"metric": "loss", "goal": "minimize"}))
    assert isinstance(space["layers"].low, int)
    assert isinstance(space["decay"].high, float)


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        ({"name": "learnRate", "min": 0, "max": 1}, "is unknown to cnn: did you mean learningRate?"),
        ({"name": "learningRate", "min": 0.1, "max": 11}, ": is 11.0: expected `float` <= 10"),
        ({"name": "width", "min": 1, "max": 64}, ": is 1: expected `int` >= 4"),
        ({"name": "width", "min": 8.5, "max": 64}, ": it is a whole number"),
        ({"name": "width", "min": 64, "max": 8}, "min, 64, must be less than max, 8"),
        ({"name": "width", "min": 8, "max": 64, "step": 99}, "step is 99: give more than 0 and at most"),
        ({"name": "weightDecay", "min": 0, "max": 1, "log": True}, "log needs a min above 0"),
        ({"name": "width"}, "give either min and max, or choices"),
        ({"name": "width", "min": 4, "max": 8, "choices": [8]}, "give either min and max, or choices"),
        ({"name": "width", "min": 8}, "min and max go together"),
        ({"name": "width", "choices": [8, 1]}, ": is 1: expected `int` >= 4"),
        ({"name": "width", "choices": [8, 8]}, "choices must be there and differ"),
        ({"name": "width", "choices": [{"a": 1}]}, "is no choice: give numbers, strings, true or false"),
        ({"name": "augment", "choices": ["yes"]}, ": is 'yes': expected `bool`"),
        ({"name": "epochs", "min": 1, "max": 3}, "also given in spec.model.hyperparameters"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(
    search: Make, parameter: dict[str, Any], told: str
) -> None:
    fixed = ModelSpec(architecture="cnn", hyperparameters={"epochs": 2})
    with pytest.raises(ValueError, match=f"spec.search.parameters {parameter['name']}.*{re.escape(told)}"):
        space_of(fixed, search(parameters=[parameter]))


def test_trials_are_compared_by_the_main_metric_or_by_one_that_is_named(search: Make) -> None:
    assert metric_of(CNN, search()) == "accuracy"
    assert metric_of(CNN, search(objective={"metric": "loss"})) == "loss"
    with pytest.raises(ValueError, match=r"objective.metric is not given: architecture custom has no main"):
        metric_of(CUSTOM, search())

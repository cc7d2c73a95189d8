"""What a search may try, checked against what the architecture knows."""

import math
from decimal import Decimal
from typing import NamedTuple

from msgspec import inspect

from vaka.api.architectures import ARCHITECTURES, MEASURES, hyperparameters
from vaka.api.search import ParameterSpec, SearchSpec
from vaka.api.trainingjob import ModelSpec

Scalar = bool | int | float | str


class Dimension(NamedTuple):
    """One hyper-parameter: a range of numbers, whole where `low` is an int, or some choices."""

    low: float | int = 0
    high: float | int = 0
    step: float | int | None = None
    log: bool = False
    choices: tuple[Scalar, ...] = ()

    def holds(self, value: object) -> bool:
        """Whether it is a value that can be tried; JSON may have turned 1.0 into 1."""
        if self.choices:
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        step = self.step or (1 if isinstance(self.low, int) else None)
        steps = (value - self.low) / step if step else 0
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-8


Space = dict[str, Dimension]


def metric_of(model: ModelSpec, search: SearchSpec) -> str:
    """The metric that trials are compared by; ValueError where none is given and none is usual."""
    objective, own = search.objective, MEASURES.get(model.architecture)
    if objective.metric:
        return objective.metric
    if own is None:
        told = f"architecture {model.architecture} has no main metric: name the one that decides"
        raise ValueError(f"spec.search.objective.metric is not given: {told}")
    if objective.goal != own.goal:
        raise ValueError(
            f"spec.search.objective.goal is {objective.goal}: {own.name}, by which {model.architecture} is "
            f"judged, wants {own.goal}"
        )
    return own.name


def space_of(model: ModelSpec, search: SearchSpec) -> Space:
    """The dimensions by name; ValueError says which parameter is wrong and what is allowed."""
    metric_of(model, search)
    space: Space = {}
    for parameter in search.parameters:
        field = f"spec.search.parameters {parameter.name}"
        if parameter.name in space:
            raise ValueError(f"{field} is given twice")
        if parameter.name in model.hyperparameters:
            raise ValueError(f"{field} is also given in spec.model.hyperparameters: take it out of one")
        try:
            space[parameter.name] = _dimension(model.architecture, parameter)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error
    return space


def _dimension(architecture: str, given: ParameterSpec) -> Dimension:
    if (given.choices is not None) == (given.min is not None or given.max is not None):
        raise ValueError("give either min and max, or choices")
    return _choices(architecture, given) if given.choices is not None else _range(architecture, given)


def _choices(architecture: str, given: ParameterSpec) -> Dimension:
    choices = given.choices or []
    if given.log or given.step is not None:
        raise ValueError("log and step go with min and max")
    for choice in choices:
        if not isinstance(choice, Scalar):
            raise ValueError(f"{choice!r} is no choice: give numbers, strings, true or false")
        _check(architecture, given.name, choice)
    if not choices or len({(isinstance(choice, bool), choice) for choice in choices}) < len(choices):
        raise ValueError("choices must be there and differ")
    return Dimension(choices=tuple(choices))


def _range(architecture: str, given: ParameterSpec) -> Dimension:
    if given.min is None or given.max is None:
        raise ValueError("min and max go together")
    if not (math.isfinite(given.min) and math.isfinite(given.max) and given.min < given.max):
        raise ValueError(f"min, {given.min:g}, must be less than max, {given.max:g}")
    if given.log and (given.min <= 0 or given.step is not None):
        raise ValueError("log needs a min above 0 and no step")
    if given.step is not None and not 0 < given.step <= given.max - given.min:
        raise ValueError(f"step is {given.step:g}: give more than 0 and at most max - min")
    dimension = _numbers(architecture, given, given.min, given.max)
    for end in (dimension.low, dimension.high):
        _check(architecture, given.name, end)
    return dimension


def _numbers(architecture: str, given: ParameterSpec, low: float, high: float) -> Dimension:
    """The range, its end on a step."""
    if given.step is not None:
        steps = (Decimal(str(high)) - Decimal(str(low))) // Decimal(str(given.step))
        high = float(Decimal(str(low)) + steps * Decimal(str(given.step)))
    numbers = [low, high, given.step or 0.0]
    if not _is_whole(architecture, given.name, numbers):
        return Dimension(low=float(low), high=float(high), step=given.step, log=given.log)
    if not all(float(number).is_integer() for number in numbers):
        raise ValueError("it is a whole number: give min, max and step as such")
    return Dimension(low=int(low), high=int(high), step=int(given.step or 1), log=given.log)


def _check(architecture: str, name: str, value: Scalar) -> None:
    """ValueError where the architecture does not know the hyper-parameter or allow the value."""
    if architecture not in ARCHITECTURES:
        return
    try:
        hyperparameters(architecture, {name: value})
    except ValueError as error:
        told = str(error).removeprefix(f"spec.model.hyperparameters.{name} ")
        raise ValueError(told) from error


def _is_whole(architecture: str, name: str, numbers: list[float]) -> bool:
    """Whether the hyper-parameter is an integer; an unknown one is, if all that is given of it is."""
    known = {}
    if architecture in ARCHITECTURES:
        kind = inspect.type_info(ARCHITECTURES[architecture])
        known = {field.encode_name: field.type for field in kind.fields}  # type: ignore[attr-defined]
    if name not in known:
        return all(float(number).is_integer() for number in numbers)
    return isinstance(_plain(known[name]), inspect.IntType)


def _plain(kind: inspect.Type) -> inspect.Type:
    """The type itself, of one that is annotated or optional."""
    if isinstance(kind, inspect.Metadata):
        return _plain(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _plain(next(t for t in kind.types if not isinstance(t, inspect.NoneType)))
    return kind

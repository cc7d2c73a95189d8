"""What can be said of each built-in architecture, a module each: checked without torch, so the operator can.

A module has HYPERPARAMETERS (a struct for `spec.model.hyperparameters`), OPTIONS (one for
`spec.dataset.options`), FORMATS (what `spec.dataset.format` may be beside `auto`) and MEASURE (which metric
decides).
"""

import difflib
import pkgutil
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from vaka.api.architectures.base import Hyperparameters, Measure

T = TypeVar("T", bound=msgspec.Struct)

AUTO = "auto"

_MODULES: dict[str, ModuleType] = {
    found.name: import_module(f"{__name__}.{found.name}")
    for found in pkgutil.iter_modules(__path__)
    if found.name != "base"
}
ARCHITECTURES: dict[str, type[Hyperparameters]] = {
    name: module.HYPERPARAMETERS for name, module in _MODULES.items()
}
FORMATS: dict[str, tuple[str, ...]] = {name: module.FORMATS for name, module in _MODULES.items()}
ALL_FORMATS = (AUTO, *dict.fromkeys(chain.from_iterable(FORMATS.values())))
MEASURES: dict[str, Measure] = {name: module.MEASURE for name, module in _MODULES.items()}


def hyperparameters(architecture: str, given: dict[str, Any]) -> Hyperparameters:
    """The hyper-parameters with their defaults; ValueError says which is wrong, and what is allowed."""
    return _parsed(architecture, ARCHITECTURES[architecture], given, "spec.model.hyperparameters")


def options(architecture: str, given: dict[str, Any], *, field: str = "spec.dataset.options") -> Any:
    """The same of what is said of the data set."""
    return _parsed(architecture, _MODULES[architecture].OPTIONS, given, field)


def check_format(architecture: str, given: str, *, field: str = "spec.dataset.format") -> None:
    """ValueError unless the architecture reads data that is laid out so."""
    allowed = (AUTO, *FORMATS[architecture])
    if given not in allowed:
        raise ValueError(f"{field} is {given!r}: {architecture} reads {', '.join(allowed)}")


def _parsed(architecture: str, kind: type[T], given: dict[str, Any], field: str) -> T:
    known = kind.__struct_encode_fields__
    for name in given.keys() - set(known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
        raise ValueError(f"{field}.{name} is unknown to {architecture}: {hint}")
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`").partition("[")[0]
        told = f"{what[:1].lower()}{what[1:]}{_allowed(kind, name)}"
        raise ValueError(f"{field}.{name} is {given.get(name)!r}: {told}") from error


def _allowed(kind: type[msgspec.Struct], name: str) -> str:
    """The words that a field may be, if they are few: to be appended."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    found = [field.type for field in info.fields if field.encode_name == name]
    for one in chain.from_iterable(getattr(part, "types", [part]) for part in found):
        if isinstance(one, inspect.LiteralType):
            return f": known are {', '.join(map(str, one.values))}"
    return ""

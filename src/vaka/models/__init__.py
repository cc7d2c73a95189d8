"""The built-in architectures, a folder each.

A folder is a module as `vaka.models.architecture.Architecture` describes it, found by its name, with a module
of that name in `vaka.api.architectures`: docs/architectures.md adds one.
"""

from importlib import import_module
from typing import cast

from vaka.models.architecture import Architecture


def architecture(name: str) -> Architecture:
    """The built-in architecture of that name; importing it does not import torch."""
    return cast(Architecture, import_module(f"vaka.models.{name}"))

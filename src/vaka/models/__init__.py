"""The built-in architectures, a folder each.

A folder is a module as `vaka.models.architecture.Architecture` describes it, found by its name: to add one,
add the folder, and its hyper-parameters to `vaka.api.hyperparameters`.
"""

from importlib import import_module
from typing import cast

from vaka.models.architecture import Architecture


def architecture(name: str) -> Architecture:
    """The built-in architecture of that name; importing it does not import torch."""
    return cast(Architecture, import_module(f"vaka.models.{name}"))

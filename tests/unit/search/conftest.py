"""A search as people write it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vaka.api.search import SearchSpec

LEARNING_RATE = {"name": "learningRate", "min": 0.001, "max": 0.1, "log": True}
WIDTH = {"name": "width", "min": 8, "max": 64, "step": 8}
AUGMENT = {"name": "augment", "choices": [True, False]}


@pytest.fixture
def search() -> Callable[..., SearchSpec]:
    def make(**fields: Any) -> SearchSpec:
        smallest: dict[str, Any] = {"parameters": [LEARNING_RATE, WIDTH, AUGMENT]}
        return msgspec.convert(smallest | fields, SearchSpec)

    return make

"""A BentoML service with two workers; one image a request, so without its batching, which hops once more."""

from typing import Any

import bentoml
import numpy as np
from session import load


@bentoml.service(workers=2, logging={"access": {"enabled": False}})
class Cnn:
    def __init__(self) -> None:
        self._run = load()

    @bentoml.api(route="/v1/models/cnn:predict")  # type: ignore[untyped-decorator]
    async def predict(self, instances: np.ndarray) -> dict[str, Any]:
        return {"predictions": self._run(instances).tolist()}

"""A TorchServe handler with ONNX Runtime; TorchServe has parsed the JSON of each request."""

from pathlib import Path
from typing import Any

import numpy as np
from session import load


class Cnn:
    def initialize(self, context: Any) -> None:
        name = context.manifest["model"]["serializedFile"]
        self._run = load(str(Path(context.system_properties["model_dir"]) / name))

    def handle(self, requests: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        images = [np.asarray(one["body"]["instances"], np.float32) for one in requests]
        probabilities = self._run(np.concatenate(images))
        ends = np.cumsum([len(one) for one in images])[:-1]
        return [{"predictions": rows.tolist()} for rows in np.split(probabilities, ends)]

"""A KServe model with ONNX Runtime: V1 comes as a dict, v2 in JSON or binary as an InferRequest."""

from functools import cached_property
from typing import Any

import kserve
from kserve.utils.utils import get_predict_response
from session import load


class Cnn(kserve.Model):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    @cached_property
    def run(self) -> Any:
        """Loaded by each worker for itself: a session cannot be sent to another process."""
        return load()

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ARG002
        if isinstance(payload, dict):
            return {"predictions": self.run(payload["instances"]).tolist()}
        return get_predict_response(payload, self.run(payload.inputs[0].as_numpy()), self.name)


if __name__ == "__main__":
    kserve.ModelServer().start([Cnn(kserve.model_server.args.model_name)])

"""LitServe with two workers, two processes for HTTP and its faster queue."""

import os
from typing import Any

import litserve
from session import Array, load


class Cnn(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:  # noqa: ARG002
        self._run = load()

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["instances"]

    def predict(self, images: Any) -> Array:
        return self._run(images)

    def encode_response(self, output: Array) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Cnn(api_path="/v1/models/cnn:predict"), accelerator="cpu", workers_per_device=2, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=2,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )

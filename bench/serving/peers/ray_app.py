"""Ray Serve with two replicas, tuned for throughput."""

import os
import signal

import orjson
import ray
from ray import serve
from session import load
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(num_replicas=2, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.5})
class Cnn:
    def __init__(self) -> None:
        self._run = load()

    async def __call__(self, request: Request) -> Response:
        probabilities = self._run(orjson.loads(await request.body())["instances"])
        body = orjson.dumps({"predictions": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=True)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"]), "access_log": False})
    serve.run(Cnn.bind(), route_prefix="/")  # type: ignore[attr-defined]
    signal.sigwait([signal.SIGINT, signal.SIGTERM])

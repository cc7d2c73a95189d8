"""The HTTP side: routes to codecs and model, errors to answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

import vaka
from vaka.serving import v1, v2
from vaka.serving.errors import (
    BadRequest,
    NotReady,
    ServingError,
    TooLarge,
    UnsupportedEncoding,
)
from vaka.serving.holder import ModelHolder
from vaka.serving.metrics import Metrics

MAX_BODY = 64 * 1024 * 1024
SMALL_BODY = 64 * 1024
"""Up to here a body is decoded on the event loop: handing it to a thread would take longer."""
CLIENT_CLOSED_REQUEST = 499

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(holder: ModelHolder, metrics: Metrics, *, max_body: int = MAX_BODY) -> Starlette:
    """V1 and Open Inference Protocol routes for the model that the holder has or will have."""
    routes = _Routes(holder, metrics, max_body)
    model = "/v2/models/{model}"
    paths: list[tuple[str, str, Endpoint]] = [
        ("GET", "/", routes.index),
        ("GET", "/report", routes.report),
        ("GET", "/metrics", routes.prometheus),
        ("GET", "/v1/models", routes.v1_models),
        ("GET", "/v1/models/{model}", routes.v1_model),
        ("POST", "/v1/models/{model}:predict", routes.measured("v1", routes.v1_predict)),
        ("GET", "/v2", routes.v2_server),
        ("GET", "/v2/health/live", routes.v2_live),
        ("GET", "/v2/health/ready", routes.v2_ready),
    ]
    for prefix in (model, model + "/versions/{version}"):
        paths += [
            ("GET", prefix, routes.v2_model),
            ("GET", prefix + "/ready", routes.v2_model_ready),
            ("POST", prefix + "/infer", routes.measured("v2", routes.v2_infer)),
        ]
    handlers: dict[Any, Any] = dict.fromkeys((ServingError, HTTPException, ClientDisconnect), _answer_error)
    return Starlette(
        routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in paths],
        exception_handlers=handlers | {Exception: _answer_error},
    )


class _Routes:
    def __init__(self, holder: ModelHolder, metrics: Metrics, max_body: int) -> None:
        self._holder = holder
        self._metrics = metrics
        self._max_body = max_body

    def measured(self, protocol: str, answer: Endpoint) -> Endpoint:
        """The endpoint, its requests counted; while the server drains, clients are asked to reconnect."""

        async def endpoint(request: Request) -> Response:
            with self._metrics.request(protocol) as outcome:
                try:
                    response = await answer(request)
                except (ServingError, ClientDisconnect) as error:
                    response = await _answer_error(request, error)
                outcome.code = str(response.status_code)
            if self._holder.draining:
                response.headers["connection"] = "close"
            return response

        return endpoint

    async def v1_predict(self, request: Request) -> Response:
        model = self._holder.loaded(**_named(request))
        body = await self._body(request)
        inputs = await _decoded(v1.decode, body, model.manifest)
        outputs = await self._holder.infer(model, inputs, observe=self._metrics.inference.observe)
        return _encoded(v1.encode(outputs, model.manifest))

    async def v2_infer(self, request: Request) -> Response:
        model = self._holder.loaded(**_named(request))
        if "inference-header-content-length" in request.headers:
            raise BadRequest("binary tensors are not read: send the tensors in JSON")
        body = await self._body(request)
        asked, inputs = await _decoded(v2.decode, body)
        names = [output.name for output in asked.outputs]
        outputs = await self._holder.infer(model, inputs, names, observe=self._metrics.inference.observe)
        return _encoded(v2.encode(asked, outputs, self._holder.source.name))

    async def index(self, _: Request) -> Response:
        name = self._holder.source.name
        urls = {
            "predict": f"/v1/models/{name}:predict",
            "infer": f"/v2/models/{name}/infer",
            "metadata": f"/v2/models/{name}",
            "ready": "/v2/health/ready",
            "report": "/report",
            "metrics": "/metrics",
        }
        return _json({"name": "vaka", "version": vaka.__version__, "model": name, "urls": urls})

    async def report(self, _: Request) -> Response:
        return _json(self._holder.report)

    async def prometheus(self, _: Request) -> Response:
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def v1_models(self, _: Request) -> Response:
        return _json({"models": [self._holder.source.name]})

    async def v1_model(self, request: Request) -> Response:
        return self._readiness(**_named(request))

    async def v2_server(self, _: Request) -> Response:
        return _json({"name": "vaka", "version": vaka.__version__, "extensions": []})

    async def v2_live(self, _: Request) -> Response:
        return _json({"live": True})

    async def v2_ready(self, _: Request) -> Response:
        if self._holder.ready:
            return _json({"ready": True})
        return _json(self._holder.report, status=503)

    async def v2_model(self, request: Request) -> Response:
        model = self._holder.loaded(**_named(request))
        return _json(v2.metadata(self._holder.source.name, model.manifest.signature))

    async def v2_model_ready(self, request: Request) -> Response:
        return self._readiness(**_named(request))

    def _readiness(self, name: str, version: str) -> Response:
        self._holder.check(name, version)
        ready = self._holder.ready
        return _json({"name": name, "ready": ready}, status=200 if ready else 503)

    async def _body(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise UnsupportedEncoding(f"content-encoding {encoding} is not read: send the body as it is")
        declared = int(request.headers.get("content-length", 0))
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if max(size, declared) > self._max_body:
                raise TooLarge(f"the body is larger than the {self._max_body} bytes that are accepted")
            chunks.append(chunk)
        return b"".join(chunks)


def _named(request: Request) -> dict[str, str]:
    """Name and version of the model that the path names."""
    given = request.path_params
    return {"name": given["model"], "version": given.get("version", v2.VERSION)}


async def _decoded(decode: Callable[..., T], body: bytes, *arguments: Any) -> T:
    """Decode here what is small; what is large or holds packed images would hold up other requests."""
    if len(body) <= SMALL_BODY and b'"b64"' not in body:
        return decode(body, *arguments)
    return await asyncio.to_thread(decode, body, *arguments)


async def _answer_error(_: Request, error: Exception) -> Response:
    """The one place where errors become answers."""
    headers: dict[str, str] = {}
    match error:
        case ServingError():
            status, message = error.status, str(error)
        case HTTPException():
            status, message = error.status_code, error.detail
            headers = dict(error.headers or {})
        case ClientDisconnect():
            status, message = CLIENT_CLOSED_REQUEST, "the client has gone"
        case _:
            status, message = 500, "internal error: the server's log says more"
    if isinstance(error, NotReady):
        headers["retry-after"] = "1"
    if isinstance(error, TooLarge):
        headers["connection"] = "close"  # the rest of the body is not worth reading
    return _json({"error": message}, status=status, headers=headers)


def _json(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return _encoded(msgspec.json.encode(content), status=status, headers=headers)


def _encoded(content: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(content, status, headers, media_type="application/json")

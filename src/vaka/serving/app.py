"""The HTTP side: paths to codecs and model, errors to answers."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import structs
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import vaka
from vaka.api.contract import Report
from vaka.artifacts.errors import BadInput
from vaka.models.pipeline import Arrays, Pipeline
from vaka.serving import bodies, openapi, v1, v2
from vaka.serving.errors import BadRequest, NotReady, ServingError, UnknownPath, WrongMethod, refusal_of
from vaka.serving.load import loading
from vaka.serving.messages import Request, Response
from vaka.serving.metrics import Metrics
from vaka.serving.repository import Repository

MAX_BODY = 64 * 1024 * 1024
SMALL_BODY = 64 * 1024
"""Up to here a body is decoded on the event loop: handing it to a thread would take longer."""
WORTH_PACKING = 16 * 1024
"""Answers from this size on are compressed for who accepts it."""
CLIENT_CLOSED_REQUEST = "499"
READ, POST = ("GET", "HEAD"), ("POST",)
ROUTES = 256
"""How many pairs of method and path are remembered: to find the endpoint costs as much as to decode."""
V1 = re.compile(r"/v1/models/(?P<name>[^/:]+)(?P<verb>:predict|/video)?")
V2 = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/ready|/infer)?")

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class Named(NamedTuple):
    """The model that a path names."""

    name: str
    version: str = ""
    """Empty where the path names none."""


class App:
    """V1 and Open Inference Protocol for the model that the repository has or will have.

    Args:
        is_ready: whether the server as a whole is, not only this process.
    """

    def __init__(
        self,
        repository: Repository,
        metrics: Metrics,
        *,
        is_ready: Callable[[], bool],
        max_body: int = MAX_BODY,
    ) -> None:
        self._repository = repository
        self._metrics = metrics
        self._is_ready = is_ready
        self._max_body = max_body
        self._endpoint = lru_cache(ROUTES)(self._route)
        self._fixed: dict[str, Endpoint] = {
            "/": self._index,
            "/report": self._report,
            "/metrics": self._prometheus,
            "/openapi.json": self._openapi,
            "/docs": self._docs,
            "/v1/models": self._v1_models,
            "/v2": self._v2_server,
            "/v2/models": self._v2_models,
            "/v2/health/live": self._v2_live,
            "/v2/health/ready": self._v2_ready,
        }

    async def __call__(self, request: Request) -> Response:
        """Answer a request; what is wrong with it is answered too."""
        try:
            return await self._endpoint(request.method, request.path)(request)
        except (ServingError, BadInput) as error:
            return answer_error(error)

    def _route(self, method: str, path: str) -> Endpoint:
        """What answers requests of this method and path; UnknownPath or WrongMethod where nothing does."""
        methods, endpoint = self._found(path)
        if method not in methods:
            raise WrongMethod(f"{path} takes {methods[0]}, not {method}", allow=methods)
        return endpoint

    def _found(self, path: str) -> tuple[tuple[str, ...], Endpoint]:
        if endpoint := self._fixed.get(path):
            return READ, endpoint
        if path == openapi.FORECAST:
            return POST, partial(self._measured, "v1", self._forecast, Named(""))
        if found := V1.fullmatch(path):
            named = Named(found["name"])
            if found["verb"] == "/video":
                return READ, partial(self._video, named)
            if found["verb"]:
                return POST, partial(self._measured, "v1", self._predict, named)
            return READ, partial(self._readiness, named)
        if found := V2.fullmatch(path):
            named = Named(found["name"], found["version"] or "")
            match found["verb"]:
                case "/infer":
                    return POST, partial(self._measured, "v2", self._infer, named)
                case "/ready":
                    return READ, partial(self._readiness, named)
            return READ, partial(self._metadata, named)
        raise UnknownPath(f"there is nothing at {path}: / lists what there is")

    async def _measured(
        self,
        protocol: str,
        work: Callable[[Named, Request], Awaitable[Response]],
        named: Named,
        request: Request,
    ) -> Response:
        """The answer, counted; while the server drains, clients are asked to reconnect."""
        code, start = CLIENT_CLOSED_REQUEST, perf_counter()
        self._metrics.begin()
        try:
            response = await work(named, request)
            code = str(response.status)
        except (ServingError, BadInput) as error:
            response = answer_error(error)
            code = str(response.status)
        except Exception:
            code = "500"
            raise
        finally:
            self._metrics.end(protocol, code, perf_counter() - start)
        if self._repository.draining:
            response.headers["connection"] = "close"
        return response

    async def _predict(self, named: Named, request: Request) -> Response:
        holder = self._repository.find(*named)
        pipeline = holder.model.predictor.pipeline
        inputs = await _decoded(request, self._v1_inputs, pipeline)
        return _packed(request, v1.encode(await holder.infer(inputs), pipeline))

    def _v1_inputs(self, request: Request, pipeline: Pipeline) -> Arrays:
        return v1.decode(self._body(request), pipeline)

    async def _video(self, named: Named, request: Request) -> Response:
        from vaka.serving.video import video

        return video(self._repository.find(*named), request, self._metrics, largest=self._max_body)

    async def _infer(self, named: Named, request: Request) -> Response:
        holder = self._repository.find(*named)
        _ = holder.model  # not to decode for one that is not there
        asked, inputs = await _decoded(request, self._v2_inputs)
        names = [output.name for output in asked.outputs]
        timeout = asked.parameters.timeout
        seconds = timeout / 1e6 if timeout else None
        outputs = await holder.infer(inputs, names, timeout=seconds)
        body, header_length = v2.encode(asked, outputs, named.name, holder.source.version)
        if header_length is None:
            return _packed(request, body)
        headers = {v2.HEADER_LENGTH: str(header_length)}
        return _packed(request, body, content_type="application/octet-stream", headers=headers)

    async def _forecast(self, _: Named, request: Request) -> Response:
        """The body names the model."""
        from vaka.serving import timeseries  # most servers have no use for it

        try:
            asked = await _decoded(request, lambda request: timeseries.decode(self._body(request)))
            holder = self._repository.find(asked.model)
            model = timeseries.forecaster(holder.model.predictor.pipeline, asked.model)
            outputs = await holder.infer(timeseries.inputs_of(asked, model))
        except (ServingError, BadInput) as error:
            return timeseries.refusal(error)
        return _packed(request, timeseries.encode(asked, outputs, model))

    def _v2_inputs(self, request: Request) -> tuple[v2.InferRequest, dict[str, Any]]:
        declared = request.header(v2.HEADER_LENGTH.encode())
        body = self._body(request)
        if not declared:
            return v2.decode(body)
        if not declared.isdecimal() or int(declared) > len(body):
            told = (
                f"{v2.HEADER_LENGTH} is {declared!r}: give how many of the body's {len(body)} bytes are JSON"
            )
            raise BadRequest(told)
        return v2.decode(body, int(declared))

    def _body(self, request: Request) -> bytes:
        if b"content-encoding" not in request.headers:
            return request.body
        encoding = request.header(b"content-encoding").strip().lower()
        return bodies.unpacked(request.body, encoding, limit=self._max_body)

    async def _index(self, _: Request) -> Response:
        name = self._repository.name
        urls = {
            "predict": f"/v1/models/{name}:predict",
            "infer": f"/v2/models/{name}/infer",
            "metadata": f"/v2/models/{name}",
            "ready": "/v2/health/ready",
            "report": "/report",
            "metrics": "/metrics",
            "openapi": "/openapi.json",
            "docs": "/docs",
        }
        return _json({"name": "vaka", "version": vaka.__version__, "model": name, "urls": urls})

    async def _report(self, _: Request) -> Response:
        return _json(structs.replace(self._told(), shadow=self._metrics.shadowed()))

    def _told(self) -> Report:
        """What is to be said of the server as a whole: its processes load the model each for itself."""
        if self._repository.ready and not self._is_ready():
            return loading(self._repository.find(self._repository.name).source)
        return self._repository.report

    async def _prometheus(self, _: Request) -> Response:
        return Response(generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_LATEST)

    async def _openapi(self, _: Request) -> Response:
        return _json(self._described())

    async def _docs(self, _: Request) -> Response:
        return Response(openapi.page(self._described()), content_type="text/html; charset=utf-8")

    def _described(self) -> dict[str, Any]:
        """As long as the model is not there, without its inputs."""
        name = self._repository.name
        try:
            return openapi.document(name, self._repository.find(name).model.predictor.pipeline)
        except NotReady:
            return openapi.document(name, None)

    async def _v1_models(self, _: Request) -> Response:
        return _json({"models": [self._repository.name]})

    async def _v2_server(self, _: Request) -> Response:
        return _json({"name": "vaka", "version": vaka.__version__, "extensions": v2.EXTENSIONS})

    async def _v2_models(self, _: Request) -> Response:
        return _json({"models": [self._repository.name]})

    async def _v2_live(self, _: Request) -> Response:
        return _json({"live": True})

    async def _v2_ready(self, _: Request) -> Response:
        if self._is_ready():
            return _json({"ready": True})
        return _json(self._told(), status=503)

    async def _metadata(self, named: Named, _: Request) -> Response:
        model = self._repository.find(*named).model
        return _json(v2.metadata(named.name, model.predictor.signature, self._repository.versions))

    async def _readiness(self, named: Named, _: Request) -> Response:
        ready = self._repository.find(*named).ready and self._is_ready()
        return _json({"name": named.name, "ready": ready}, status=200 if ready else 503)


def answer_error(refused: ServingError | BadInput) -> Response:
    """The one place where errors become answers."""
    error = refusal_of(refused)
    return _json({"error": str(error)}, status=error.status, headers=error.headers)


def refusal(status: int, message: str) -> Response:
    """The answer to what is no request."""
    return _json({"error": message}, status=status)


async def _decoded(request: Request, decode: Callable[..., T], *arguments: Any) -> T:
    """Decode here what is small; what is large or holds packed images would hold up other requests."""
    packed = b"content-encoding" in request.headers or bodies.has_files(request.body)
    if len(request.body) <= SMALL_BODY and not packed:
        return decode(request, *arguments)
    return await asyncio.to_thread(decode, request, *arguments)


def _packed(request: Request, body: bytes, **more: Any) -> Response:
    response = Response(body, **more)
    encoding = None
    if len(body) >= WORTH_PACKING:
        encoding = bodies.accepted(request.header(b"accept-encoding"))
    if encoding:
        response.body = bodies.packed(body, encoding)
        response.headers |= {"content-encoding": encoding, "vary": "accept-encoding"}
    return response


def _json(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers=headers or {})

"""The gRPC side: the Open Inference Protocol's service over the same model as HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

import vaka
from vaka.artifacts.errors import BadInput
from vaka.serving import v2_grpc
from vaka.serving.app import MAX_BODY, SMALL_BODY
from vaka.serving.errors import ServingError, refusal_of
from vaka.serving.metrics import Metrics
from vaka.serving.pb import open_inference_pb2 as pb
from vaka.serving.repository import Repository

SERVICE = "inference.GRPCInferenceService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
HEALTH_S = 0.5
"""How soon those who watch the health learn that it has changed."""
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_BODY),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 1),  # every process of the server listens on its port
]


@asynccontextmanager
async def serving(
    repository: Repository,
    metrics: Metrics,
    address: str,
    *,
    is_ready: Callable[[], bool],
    grace: float,
    connection_age: float = 60.0,
) -> AsyncIterator[int]:
    """Serve at host:port until the block ends, then finish what is in flight; gives the port.

    Args:
        connection_age: seconds after which clients are asked to connect anew. A call that meets a server
            that ends is cancelled, so that all have to be gone before: it must be less than the drain.

    Raises:
        OSError: the port cannot be had.
    """
    ages = [("grpc.max_connection_age_ms", round(connection_age * 1000))]
    ages += [("grpc.max_connection_age_grace_ms", round(grace * 1000))]
    server = grpc.aio.server(options=[*OPTIONS, *ages])
    server.add_generic_rpc_handlers([_handlers(_Service(repository, metrics, is_ready))])
    health_pb2_grpc.add_HealthServicer_to_server(_Health(is_ready), server)
    reflection.enable_server_reflection([SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    try:
        port: int = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(0, f"cannot listen on {address} for gRPC: is the port taken?") from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace)


def _handlers(service: "_Service") -> Any:
    methods: dict[str, tuple[Callable[[Any, Any], Awaitable[Any]], Any]] = {
        "ServerLive": (service.server_live, pb.ServerLiveRequest),
        "ServerReady": (service.server_ready, pb.ServerReadyRequest),
        "ServerMetadata": (service.server_metadata, pb.ServerMetadataRequest),
        "ModelReady": (service.model_ready, pb.ModelReadyRequest),
        "ModelMetadata": (service.model_metadata, pb.ModelMetadataRequest),
        "ModelInfer": (service.model_infer, pb.ModelInferRequest),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _explained(answer),
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for name, (answer, request) in methods.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _explained(answer: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    """The one place where errors become statuses."""

    async def method(request: Any, context: Any) -> Any:
        try:
            return await answer(request, context)
        except (ServingError, BadInput) as error:
            await context.abort(_code(error), str(error))

    return method


def _code(error: ServingError | BadInput) -> grpc.StatusCode:
    return CODES.get(refusal_of(error).status, grpc.StatusCode.INTERNAL)


class _Service:
    def __init__(self, repository: Repository, metrics: Metrics, is_ready: Callable[[], bool]) -> None:
        self._repository = repository
        self._metrics = metrics
        self._is_ready = is_ready

    async def server_live(self, _: pb.ServerLiveRequest, __: Any) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: pb.ServerReadyRequest, __: Any) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._is_ready())

    async def server_metadata(self, _: pb.ServerMetadataRequest, __: Any) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name="vaka", version=vaka.__version__)

    async def model_ready(self, request: pb.ModelReadyRequest, __: Any) -> pb.ModelReadyResponse:
        holder = self._repository.find(request.name, request.version)
        return pb.ModelReadyResponse(ready=holder.ready and self._is_ready())

    async def model_metadata(self, request: pb.ModelMetadataRequest, __: Any) -> pb.ModelMetadataResponse:
        model = self._repository.find(request.name, request.version).model
        return v2_grpc.metadata(request.name, model.predictor.signature, self._repository.versions)

    async def model_infer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        code, start = grpc.StatusCode.CANCELLED, perf_counter()
        self._metrics.begin()
        try:
            response = await self._infer(request, context.time_remaining())
            code = grpc.StatusCode.OK
        except (ServingError, BadInput) as error:
            code = _code(error)
            raise
        except Exception:
            code = grpc.StatusCode.UNKNOWN
            raise
        finally:
            self._metrics.end("grpc", code.name, perf_counter() - start)
        return response

    async def _infer(self, request: pb.ModelInferRequest, remaining: float | None) -> pb.ModelInferResponse:
        holder = self._repository.find(request.model_name, request.model_version)
        _ = holder.model  # not to decode for one that is not there
        if request.ByteSize() <= SMALL_BODY:
            inputs = v2_grpc.decode(request)
        else:
            inputs = await asyncio.to_thread(v2_grpc.decode, request)
        names = [output.name for output in request.outputs]
        outputs = await holder.infer(inputs, names, timeout=remaining)
        return v2_grpc.encode(request, outputs, holder.source.version)


class _Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """The standard health service: "" is the server, and so is the one service that it has."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    async def Check(self, request: Any, context: Any) -> Any:
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service}")
        return self._status()

    async def Watch(self, request: Any, _: Any) -> AsyncIterator[Any]:
        told = None
        while True:
            unknown = request.service not in ("", SERVICE)
            status = health_pb2.HealthCheckResponse(status=UNKNOWN) if unknown else self._status()
            if status != told:
                yield status
                told = status
            await asyncio.sleep(HEALTH_S)

    def _status(self) -> Any:
        return health_pb2.HealthCheckResponse(status=SERVING if self._is_ready() else NOT_SERVING)

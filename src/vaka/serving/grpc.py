"""The gRPC side: the Open Inference Protocol's service over the same model as HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]

import vaka
from vaka.serving import v2_grpc
from vaka.serving.app import MAX_BODY, SMALL_BODY
from vaka.serving.errors import ServingError
from vaka.serving.holder import ModelHolder
from vaka.serving.metrics import Metrics
from vaka.serving.pb import open_inference_pb2 as pb
from vaka.serving.v2 import VERSION

SERVICE = "inference.GRPCInferenceService"
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
}
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_BODY),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a port that is taken shall be an error
]


@asynccontextmanager
async def serving(holder: ModelHolder, metrics: Metrics, address: str, *, grace: float) -> AsyncIterator[int]:
    """Serve at host:port until the block ends, then finish what is in flight; gives the port.

    OSError if the port cannot be had.
    """
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers([_handlers(_Service(holder, metrics))])
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
    methods: dict[str, tuple[Callable[[Any], Awaitable[Any]], Any]] = {
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


def _explained(answer: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    """The one place where errors become statuses."""

    async def method(request: Any, context: Any) -> Any:
        try:
            return await answer(request)
        except ServingError as error:
            await context.abort(_code(error), str(error))

    return method


def _code(error: ServingError) -> grpc.StatusCode:
    return CODES.get(error.status, grpc.StatusCode.INTERNAL)


class _Service:
    def __init__(self, holder: ModelHolder, metrics: Metrics) -> None:
        self._holder = holder
        self._metrics = metrics

    async def server_live(self, _: pb.ServerLiveRequest) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: pb.ServerReadyRequest) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._holder.ready)

    async def server_metadata(self, _: pb.ServerMetadataRequest) -> pb.ServerMetadataResponse:
        return pb.ServerMetadataResponse(name="vaka", version=vaka.__version__)

    async def model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        self._holder.check(request.name, request.version or VERSION)
        return pb.ModelReadyResponse(ready=self._holder.ready)

    async def model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        model = self._holder.loaded(request.name, request.version or VERSION)
        return v2_grpc.metadata(request.name, model.manifest.signature)

    async def model_infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        with self._metrics.request("grpc") as outcome:
            outcome.code = grpc.StatusCode.UNKNOWN.name
            try:
                response = await self._infer(request)
            except ServingError as error:
                outcome.code = _code(error).name
                raise
            outcome.code = grpc.StatusCode.OK.name
        return response

    async def _infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        model = self._holder.loaded(request.model_name, request.model_version or VERSION)
        if request.ByteSize() <= SMALL_BODY:
            inputs = v2_grpc.decode(request)
        else:
            inputs = await asyncio.to_thread(v2_grpc.decode, request)
        names = [output.name for output in request.outputs]
        outputs = await self._holder.infer(model, inputs, names, observe=self._metrics.inference.observe)
        return v2_grpc.encode(request, outputs)

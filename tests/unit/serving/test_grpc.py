import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vaka.artifacts.errors import BadInput
from vaka.artifacts.tensors import DTYPES
from vaka.serving import v2_grpc
from vaka.serving.batcher import BatchPolicy
from vaka.serving.board import Board
from vaka.serving.columns import COLUMNS
from vaka.serving.grpc import SERVICE, serving
from vaka.serving.holder import ModelHolder
from vaka.serving.metrics import Metrics
from vaka.serving.options import ModelSource
from vaka.serving.pb import open_inference_pb2 as pb
from vaka.serving.repository import Repository

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def as_request(response: pb.ModelInferResponse) -> pb.ModelInferRequest:
    """The tensors that came out, sent in."""
    request = pb.ModelInferRequest(raw_input_contents=response.raw_output_contents)
    for tensor in response.outputs:
        added = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        added.contents.CopyFrom(tensor.contents)
    return request


@given(st.data(), st.booleans())
def test_what_is_encoded_is_decoded_for_every_datatype(data, raw):
    datatype = data.draw(st.sampled_from(sorted(DTYPES)))
    shape = data.draw(arrays.array_shapes(max_dims=4, max_side=3))
    elements = TEXT if datatype == "BYTES" else None
    array = data.draw(arrays.arrays(DTYPES[datatype], shape, elements=elements))
    asked = pb.ModelInferRequest(raw_input_contents=[b""] if raw else [])
    response = v2_grpc.encode(asked, {"x": array})
    assert bool(response.raw_output_contents) == (raw or datatype == "FP16")
    decoded = v2_grpc.decode(as_request(response))["x"]
    assert decoded.dtype == array.dtype
    np.testing.assert_array_equal(decoded, array)


def request(datatype="FP32", shape=(1, 2), raw=None, **contents):
    tensor = {"name": "x", "datatype": datatype, "shape": shape, "contents": contents}
    return pb.ModelInferRequest(
        model_name="m", id="7", inputs=[tensor], raw_input_contents=[] if raw is None else [raw]
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request("FLOAT"), "datatype 'FLOAT': known are BOOL"),
        (request(fp32_contents=[1]), "data has 1 values, shape"),
        (request("INT8", int_contents=[1, 128]), "out of the range of INT8"),
        (request("FP16", fp32_contents=[1, 2]), "FP16 has no typed contents"),
        (request(raw=b"12345"), "5 raw bytes are no whole number of FP32"),
        (request("BYTES", raw=b"\x05\0\0\0ab"), "the raw bytes end within element 0"),
        (request("BYTES", raw=b"\x01"), "the raw bytes end within element 0"),
        (pb.ModelInferRequest(raw_input_contents=[b""]), "1 entries for 0 inputs"),
    ],
)
def test_a_bad_message_is_refused_with_what_is_wrong(asked, said):
    with pytest.raises(BadInput, match=said):
        v2_grpc.decode(asked)


class Client:
    """Calls by the names of the specification."""

    def __init__(self, channel):
        self._channel = channel

    async def __call__(self, name, asked, **options):
        answer = getattr(pb, f"{name}Response").FromString
        method = f"/{SERVICE}/{name}"
        return await self._channel.unary_unary(method, type(asked).SerializeToString, answer)(
            asked, **options
        )


@pytest.fixture
async def call(models, tmp_path):
    """Of a server that holds the identity as model m."""
    source = ModelSource(name="m", uri=str(models.identity(tmp_path / "n.onnx")))
    metrics = Metrics(Board(rows=1, columns=COLUMNS), 0, lambda: repository.info())
    repository = Repository([ModelHolder(source, tmp_path, BatchPolicy(), metrics.batch)])
    await repository.keep_loading()
    async with (
        serving(repository, metrics, "127.0.0.1:0", is_ready=lambda: repository.ready, grace=1) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        client = Client(channel)
        client.metrics = metrics
        client.repository = repository
        client.channel = channel
        yield client


async def test_an_inference_comes_back_in_the_form_it_was_asked_in(call):
    typed = await call("ModelInfer", request(fp32_contents=[1, 2]))
    assert (typed.model_name, typed.model_version, typed.id) == ("m", "1", "7")
    assert list(typed.outputs[0].contents.fp32_contents) == [1, 2]
    raw = np.array([1, 2], "<f4").tobytes()
    assert (await call("ModelInfer", request(raw=raw))).raw_output_contents == [raw]


async def test_health_and_metadata_are_those_of_the_model(call):
    assert (await call("ServerLive", pb.ServerLiveRequest())).live
    assert (await call("ServerReady", pb.ServerReadyRequest())).ready
    assert (await call("ModelReady", pb.ModelReadyRequest(name="m"))).ready
    assert (await call("ServerMetadata", pb.ServerMetadataRequest())).name == "vaka"
    metadata = await call("ModelMetadata", pb.ModelMetadataRequest(name="m", version="1"))
    assert (metadata.inputs[0].name, list(metadata.inputs[0].shape)) == ("x", [-1, 2])


@pytest.mark.parametrize(
    ("name", "asked", "code"),
    [
        ("ModelInfer", request(shape=(2, 1), fp32_contents=[1, 2]), grpc.StatusCode.INVALID_ARGUMENT),
        ("ModelInfer", pb.ModelInferRequest(model_name="other"), grpc.StatusCode.NOT_FOUND),
        ("ModelReady", pb.ModelReadyRequest(name="m", version="2"), grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_errors_have_a_status_and_say_what_is_wrong(call, name, asked, code):
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await call(name, asked)
    assert told.value.code() == code
    assert told.value.details()


async def test_calls_are_counted(call):
    await call("ModelInfer", request(fp32_contents=[1, 2]))
    with pytest.raises(grpc.aio.AioRpcError):
        await call("ModelInfer", request(datatype="none"))
    for code in ("OK", "INVALID_ARGUMENT"):
        labels = {"protocol": "grpc", "code": code}
        assert call.metrics.registry.get_sample_value("vaka_server_requests_total", labels) == 1


async def test_the_health_service_follows_the_model(call):
    health = health_pb2_grpc.HealthStub(call.channel)
    watched = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    assert (await watched.read()).status == health_pb2.HealthCheckResponse.SERVING
    call.repository.drain()
    assert (await watched.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == (
        health_pb2.HealthCheckResponse.NOT_SERVING
    )
    with pytest.raises(grpc.aio.AioRpcError, match="no service other"):
        await health.Check(health_pb2.HealthCheckRequest(service="other"))


async def test_reflection_lists_the_services(call):
    stub = reflection_pb2_grpc.ServerReflectionStub(call.channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = [one async for one in stub.ServerReflectionInfo(iter([asked]))]
    assert SERVICE in {one.name for one in answer.list_services_response.service}


async def test_a_call_whose_deadline_is_over_is_not_computed(call):
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await call("ModelInfer", request(fp32_contents=[1, 2]), timeout=-1)
    assert told.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED

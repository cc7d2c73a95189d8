"""A detector answers pictures by every way in, in their own pixels."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from vaka.artifacts.manifest import File, Manifest, Signature, Tensor, encode
from vaka.artifacts.read import digest_at
from vaka.serving.v2 import HEADER_LENGTH

info = helper.make_tensor_value_info
BOX = [16.0, 0.0, 48.0, 32.0]
"""What is found in a picture of 64x32 pixels."""


def detector(folder: Path) -> Path:
    """A model folder that finds the same in every picture: an object of class 1 in the middle."""
    constants = {
        "axes": np.array([1, 2, 3]),
        "zero": np.array(0, np.float32),
        "shape": np.array([-1, 1, 1]),
        "box": np.array([[[0.25, 0.25, 0.75, 0.75]]], np.float32),
        "score": np.array([[[0.1, 0.8]]], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "shape"], ["rows"]),
        helper.make_node("Add", ["rows", "box"], ["boxes"]),
        helper.make_node("Add", ["rows", "score"], ["scores"]),
    ]
    takes = [info("image", TensorProto.UINT8, ["n", 3, 64, 64])]
    gives = [info(name, TensorProto.FLOAT, ["n", 1, size]) for name, size in (("boxes", 4), ("scores", 2))]
    values = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", takes, gives, values)
    folder.mkdir()
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opset), folder / "model.onnx")
    (folder / "manifest.json").write_bytes(encode(manifest(folder / "model.onnx")))
    return folder


def manifest(graph: Path) -> Manifest:
    signature = Signature(
        inputs=[Tensor(name="image", datatype="UINT8", shape=[-1, 3, 64, 64])],
        outputs=[
            Tensor(name="boxes", datatype="FP32", shape=[-1, 1, 4]),
            Tensor(name="scores", datatype="FP32", shape=[-1, 1, 2]),
        ],
    )
    return Manifest(
        name="d",
        architecture="yolo",
        task="object-detection",
        signature=signature,
        labels=["ant", "bee"],
        files={graph.name: File(sha256=digest_at(graph).removeprefix("sha256:"), size=graph.stat().st_size)},
    )


@pytest.fixture
async def client(serve: Any, tmp_path: Path) -> httpx.AsyncClient:
    asking: httpx.AsyncClient = await serve(detector(tmp_path / "detector"))
    return asking


def file(kind: str = "JPEG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (64, 32)).save(content, kind)
    return content.getvalue()


def text(kind: str = "JPEG") -> str:
    return base64.b64encode(file(kind)).decode()


@pytest.mark.parametrize(
    "instance", [{"b64": text("PNG")}, {"b64": text()}, np.zeros((32, 64, 3), int).tolist()]
)
async def test_v1_takes_files_and_pixels(client: httpx.AsyncClient, instance: Any) -> None:
    answer = await client.post("/v1/models/m:predict", json={"instances": [instance] * 2})
    one = {"objects": [{"box": BOX, "class": 1, "label": "bee", "score": pytest.approx(0.8)}]}
    assert answer.json() == {"predictions": [one, one]}


@pytest.mark.parametrize(
    "tensor",
    [
        {"datatype": "BYTES", "shape": [1], "data": [text()]},
        {"datatype": "UINT8", "shape": [1, 32, 64, 3], "data": [0] * (32 * 64 * 3)},
    ],
)
async def test_v2_takes_files_and_pixels(client: httpx.AsyncClient, tensor: dict[str, Any]) -> None:
    answer = await client.post("/v2/models/m/infer", json={"inputs": [{"name": "image"} | tensor]})
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert outputs["count"] == outputs["classes"] == [1]
    assert outputs["boxes"] == BOX


async def test_v2_takes_a_file_as_raw_bytes(client: httpx.AsyncClient) -> None:
    content = len(file()).to_bytes(4, "little") + file()
    parameters = {"binary_data_size": len(content)}
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": parameters}
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = await client.post(
        "/v2/models/m/infer", content=head + content, headers={HEADER_LENGTH: str(len(head))}
    )
    assert answer.json()["outputs"][1]["data"] == BOX


@pytest.mark.parametrize(
    ("tensor", "complaint"),
    [
        (
            {"datatype": "FP32", "shape": [1, 1, 1, 3], "data": [0.5] * 3},
            "input 'image' is FP32, the model takes UINT8",
        ),
        (
            {"datatype": "UINT8", "shape": [1, 2, 2, 1], "data": [1] * 4},
            "input 'image' has shape [1, 2, 2, 1], the model takes [-1, -1, -1, 3] (-1: any)",
        ),
        (
            {"datatype": "BYTES", "shape": [1], "data": ["AAAA"]},
            "input 'image'[0]: this is neither PNG nor JPEG",
        ),
    ],
)
async def test_what_is_no_picture_is_refused_with_what_is_allowed(
    client: httpx.AsyncClient, tensor: dict[str, Any], complaint: str
) -> None:
    answer = await client.post("/v2/models/m/infer", json={"inputs": [{"name": "image"} | tensor]})
    assert answer.status_code == 400
    assert answer.json() == {"error": complaint}

"""Small models with answers that can be told in advance, a web server and an S3 server."""

import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vaka.artifacts.manifest import File, ImageInput, Manifest, Signature, Tensor, encode
from vaka.artifacts.read import digest_at
from vaka.devcluster.binaries import programs
from vaka.devcluster.folders import cache_root

info = helper.make_tensor_value_info


def _save(graph: onnx.GraphProto, to: Path) -> Path:
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]), to)
    return to


class Models:
    """Writes them where a test wants them."""

    @staticmethod
    def identity(to: Path, element: int = TensorProto.FLOAT) -> Path:
        """An ONNX file that gives back its input `x` [batch, 2] as `y`."""
        node = helper.make_node("Identity", ["x"], ["y"])
        shape = ["batch", 2]
        return _save(
            helper.make_graph([node], "g", [info("x", element, shape)], [info("y", element, shape)]), to
        )

    @staticmethod
    def doubled(to: Path) -> Path:
        """An ONNX file that gives twice its input `x` [batch, 2] as `y`."""
        node = helper.make_node("Add", ["x", "x"], ["y"])
        x, y = (info(name, TensorProto.FLOAT, ["batch", 2]) for name in "xy")
        return _save(helper.make_graph([node], "g", [x], [y]), to)

    @staticmethod
    def sums(to: Path) -> Path:
        """Inputs `a` FP32 [n] and `b` INT64 [n, 2]; outputs `double` = 2a and `total` = b summed."""
        nodes = [
            helper.make_node("Add", ["a", "a"], ["double"]),
            helper.make_node("ReduceSum", ["b", "axis"], ["total"], keepdims=0),
        ]
        inputs = [info("a", TensorProto.FLOAT, ["n"]), info("b", TensorProto.INT64, ["n", 2])]
        outputs = [info("double", TensorProto.FLOAT, ["n"]), info("total", TensorProto.INT64, ["n"])]
        axis = numpy_helper.from_array(np.array([1]), "axis")
        return _save(helper.make_graph(nodes, "g", inputs, outputs, [axis]), to)

    @staticmethod
    def convolutions(to: Path, *, filters: int = 8, side: int = 12) -> Path:
        """A graph of two convolutions and a classifier: FP32 [n, 3, side, side] to [n, 5]."""
        chance = np.random.default_rng(0)
        shapes = {
            "first": (filters, 3, 3, 3),
            "second": (filters, filters, 3, 3),
            "head": (filters * (side - 4) ** 2, 5),
        }
        weights = {
            n: chance.normal(0, np.prod(s[1:]) ** -0.5, s).astype(np.float32) for n, s in shapes.items()
        }
        nodes = [
            helper.make_node("Conv", ["x", "first"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "second"], ["c"]),
            helper.make_node("Flatten", ["c"], ["d"]),
            helper.make_node("Gemm", ["d", "head"], ["y"]),
        ]
        given = [info("x", TensorProto.FLOAT, ["n", 3, side, side])]
        wanted = [info("y", TensorProto.FLOAT, ["n", 5])]
        initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
        return _save(helper.make_graph(nodes, "g", given, wanted, initializers), to)

    @staticmethod
    def brightness(folder: Path, *, channels: int = 1, height: int = 3, width: int = 4) -> Path:
        """A model folder that tells dark images from bright ones by their mean: class 0 or 1."""
        folder.mkdir(parents=True, exist_ok=True)
        constants = {
            "axes": np.array([1, 2, 3]),
            "one": np.array([1]),
            "weight": np.array([[-0.1, 0.1]], np.float32),
            "bias": np.array([12.75, -12.75], np.float32),
        }
        nodes = [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
            helper.make_node("Gemm", ["column", "weight", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ]
        graph = _save(
            helper.make_graph(
                nodes,
                "g",
                [info("image", TensorProto.FLOAT, ["n", channels, height, width])],
                [info("probabilities", TensorProto.FLOAT, ["n", 2])],
                [numpy_helper.from_array(array, name) for name, array in constants.items()],
            ),
            folder / "model.onnx",
        )
        file = File(sha256=digest_at(graph).removeprefix("sha256:"), size=graph.stat().st_size)
        manifest = Manifest(
            name="brightness",
            architecture="cnn",
            task="image-classification",
            signature=Signature(
                inputs=[Tensor(name="image", datatype="FP32", shape=[-1, channels, height, width])],
                outputs=[Tensor(name="probabilities", datatype="FP32", shape=[-1, 2])],
            ),
            image=ImageInput(height=height, width=width, channels=channels),
            labels=["dark", "bright"],
            metrics={"accuracy": 1.0},
            files={"model.onnx": file},
        )
        (folder / "manifest.json").write_bytes(encode(manifest))
        return folder

    @staticmethod
    def forecaster(folder: Path, **options: Any) -> Path:
        """A model folder that forecasts 3 steps of 4 values: the last three again, one below and above."""
        folder.mkdir(parents=True, exist_ok=True)
        said = {
            **{"context": 4, "horizon": 3, "quantiles": [0.1, 0.5, 0.9], "frequency": "B", "holidays": []},
            **{"season": 0, "targets": ["price"], "observed": [], "known": [], "positive": False},
        } | options
        around = numpy_helper.from_array(np.array([-1.0, 0, 1]), "around")
        constants = [
            numpy_helper.from_array(np.array(v), n) for n, v in (("newest", [1, 2, 3]), ("three", [3]))
        ]
        nodes = [
            helper.make_node("Gather", ["past", "newest"], ["mean"], axis=1),
            helper.make_node("Unsqueeze", ["mean", "three"], ["column"]),
            helper.make_node("Add", ["column", "around"], ["quantiles"]),
        ]
        shapes = {"past": [-1, 4, 1], "mean": [-1, 3, 1], "quantiles": [-1, 3, 1, 3]}
        given = {n: info(n, TensorProto.DOUBLE, ["n", *shape[1:]]) for n, shape in shapes.items()}
        graph = _save(
            helper.make_graph(
                nodes, "g", [given["past"]], [given["mean"], given["quantiles"]], [around, *constants]
            ),
            folder / "model.onnx",
        )
        past, *outputs = (Tensor(name=n, datatype="FP64", shape=shape) for n, shape in shapes.items())
        file = File(sha256=digest_at(graph).removeprefix("sha256:"), size=graph.stat().st_size)
        manifest = Manifest(
            name="prices",
            architecture="lstm",
            task="time-series-forecasting",
            signature=Signature(inputs=[past], outputs=outputs),
            labels=["price"],
            options=said,
            files={"model.onnx": file},
        )
        (folder / "manifest.json").write_bytes(encode(manifest))
        return folder


@pytest.fixture(scope="session")
def models() -> type[Models]:
    return Models


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Endpoint of an S3 server, and the folder whose subfolders are its buckets."""
    root = tmp_path_factory.mktemp("s3")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        str(programs(cache_root())["versitygw"]),
        "--quiet",
        "--port",
        f"127.0.0.1:{port}",
        "posix",
        str(root),
    ]
    keys = {"ROOT_ACCESS_KEY": "the-key", "ROOT_SECRET_KEY": "the-secret"}
    process = subprocess.Popen(command, env=keys, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}", root
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise RuntimeError("the S3 server does not start")


@pytest.fixture
def bucket(gateway: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an empty bucket, with access to it in the environment."""
    endpoint, root = gateway
    name = f"bucket-{uuid.uuid4().hex}"
    (root / name).mkdir()
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return name


@dataclass(kw_only=True)
class Web:
    """A web server of this machine."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Paths, in the order in which they were asked for."""
    before: Callable[[], object] = lambda: None
    """Called before a file is sent."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    ours = Web(folder=tmp_path / "web")
    ours.folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            ours.before()
            super().do_GET()

        def log_message(self, *_: object) -> None:
            ours.asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=ours.folder)) as server:
        ours.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield ours
        server.shutdown()
        thread.join()


@pytest.fixture
def own_scratch(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is killed leaves its temporary folder: here, and not in the machine's."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("scratch")))

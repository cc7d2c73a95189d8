"""`vaka predict`: one prediction for each input, by a model on this machine or by a running server.

With --input and --output: a batch of any size to Parquet; started again, it goes on where it was.
"""

import argparse
import base64
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from vaka.cli import batch
from vaka.cli.errors import UserError

IMAGES = (".png", ".jpg", ".jpeg")
TIMEOUT = 30.0

T = TypeVar("T")
Predict = Callable[[Any], Any]
"""V1 instance -> V1 prediction. ValueError says what is wrong with the instance."""


class _Models(msgspec.Struct):
    models: Annotated[list[str], msgspec.Meta(min_length=1)]


class _Predictions(msgspec.Struct):
    predictions: Annotated[list[Any], msgspec.Meta(min_length=1)]


class Input(NamedTuple):
    """An instance, and how to speak of it."""

    name: str
    instance: Any


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("predict", help="predict with a model or a server", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--model", metavar="PATH-OR-URI", help="model folder or ONNX file")
    where.add_argument("--url", help="a running server, such as http://127.0.0.1:8080")
    parser.add_argument("--name", help="model of the server (default: the one that it serves)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on standard output")
    batch.add_options(parser)
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help='PNG, JPEG, .npy, .json (one instance or {"instances": [...]}), or - for JSON on standard input',
    )
    parser.set_defaults(func=run_predict)


def run_predict(arguments: argparse.Namespace) -> int:
    """Predict every input and print the results; the first bad input ends it with its name."""
    if arguments.input or arguments.output:
        return batch.run_batch(arguments)
    if not arguments.inputs:
        raise UserError("give an INPUT, or --input and --output")
    inputs = [one for name in arguments.inputs for one in read(name)]
    open_predict = _local(arguments.model) if arguments.model else _remote(arguments.url, arguments.name)
    show = _json_line if arguments.json else _Table([one.name for one in inputs]).line
    with open_predict as predict:
        for one in inputs:
            try:
                print(show(one.name, predict(one.instance)), flush=True)
            except ValueError as error:
                raise UserError(f"{one.name}: {error}") from error
    return 0


def read(name: str) -> Iterator[Input]:
    """The instances of one argument; UserError says which file cannot be read and why."""
    path = Path(name)
    if name != "-" and not path.is_file():
        raise UserError(f"{name}: there is no such file")
    if path.suffix.lower() in IMAGES:
        yield Input(name, {"b64": base64.b64encode(path.read_bytes()).decode()})
    elif path.suffix.lower() == ".npy":
        yield Input(name, _array(path))
    elif name == "-" or path.suffix.lower() == ".json":
        yield from _instances(name, sys.stdin.buffer.read() if name == "-" else path.read_bytes())
    else:
        raise UserError(f"{name}: give {', '.join(IMAGES)}, .npy, .json, or - for JSON on standard input")


def _array(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False).tolist()
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: is no .npy file of numbers: {error}") from error


def _instances(name: str, content: bytes) -> Iterator[Input]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: is no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
        yield Input(name, document)
        return
    for i, instance in enumerate(document["instances"]):
        yield Input(f"{name}[{i}]", instance)


@contextmanager
def _local(uri: str) -> Iterator[Predict]:
    """The model in this process, behind the same codec as in the server."""
    from vaka import storage
    from vaka.artifacts.errors import BadInput
    from vaka.artifacts.read import graph_of, open_model
    from vaka.serving import v1
    from vaka.serving.predictor import Predictor

    with tempfile.TemporaryDirectory(prefix="vaka-predict-") as scratch:
        path = storage.fetch(uri, Path(scratch))
        predictor = Predictor(graph_of(path), open_model(path))

        def predict(instance: Any) -> Any:
            try:
                inputs = v1.decode(_request(instance), predictor.pipeline)
                return _prediction(v1.encode(predictor.predict(inputs), predictor.pipeline))
            except BadInput as error:
                raise ValueError(_about_input(str(error))) from error

        yield predict


@contextmanager
def _remote(url: str, name: str | None) -> Iterator[Predict]:
    """The server's own V1 endpoint."""
    base = url.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise UserError(f"--url {url}: give http://HOST:PORT or https://HOST")
    model = name or _decoded(_ask(f"{base}/v1/models"), _Models).models[0]
    yield lambda instance: _prediction(_ask(f"{base}/v1/models/{model}:predict", _request(instance)))


def _ask(url: str, body: bytes | None = None) -> bytes:
    """The answer's body; ValueError where the server refuses the request, UserError where there is none."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    request = Request(url, body, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            return bytes(response.read())
    except HTTPError as error:
        with error:
            message = _told(error.read()) or error.reason
        if error.code == 400:
            raise ValueError(_about_input(message)) from error
        raise UserError(f"{url} answers {error.code}: {message}") from error
    except (OSError, HTTPException) as error:  # it cannot be had, or ends in the midst of its answer
        reason = getattr(error, "reason", error)
        raise UserError(f"{url} cannot be reached: {reason}: is the server running?") from error


def _told(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=dict[str, str]).get("error", "")
    except msgspec.DecodeError:
        return ""


def _request(instance: Any) -> bytes:
    return msgspec.json.encode({"instances": [instance]})


def _prediction(body: bytes) -> Any:
    return _decoded(body, _Predictions).predictions[0]


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise UserError(f"the server does not speak the V1 protocol: {error}") from error


def _about_input(message: str) -> str:
    """The message without the place in the request: there is one instance in each."""
    return message.removeprefix("instances[0]").removeprefix(":").strip()


def _json_line(name: str, prediction: Any) -> str:
    return msgspec.json.encode({"input": name, "prediction": prediction}).decode()


class _Table:
    """Lines with the inputs' names in a column."""

    def __init__(self, names: list[str]) -> None:
        self._width = max(map(len, names), default=0)

    def line(self, name: str, prediction: Any) -> str:
        if isinstance(prediction, dict) and {"label", "probability"} <= prediction.keys():
            return f"{name:{self._width}}  {prediction['label']}  {prediction['probability']:.1%}"
        return f"{name:{self._width}}  {msgspec.json.encode(prediction).decode()}"

"""`vaka evaluate`: the measures of a model's task on any data set, with ONNX Runtime and without torch."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from vaka import storage
from vaka.artifacts.manifest import Manifest
from vaka.artifacts.read import graph_of, open_model
from vaka.artifacts.runtime import predictor
from vaka.cli.errors import UserError
from vaka.models.architecture import Evaluation

BARE = "onnx"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("evaluate", help="measure a model on a data set", description=__doc__)
    parser.add_argument("--model", required=True, metavar="DIR-OR-URI", help="model folder")
    parser.add_argument(
        "--data", required=True, metavar="URI", help="path, pkg://, file://, s3:// or https://"
    )
    parser.add_argument("--format", default="auto", help="auto, idx or imagefolder (default: %(default)s)")
    parser.add_argument(
        "--split",
        choices=("auto", "train", "validation", "test", "all"),
        default="auto",
        help="which part of the data; auto is test where there is one (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(func=run_evaluate)


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="vaka-evaluate-") as folder:
        scratch = Path(folder)
        model = storage.fetch(arguments.model, scratch / "model")
        manifest = open_model(model)
        if manifest.architecture == BARE:
            raise UserError(
                f"{model} is a bare ONNX file: only a model folder says what its task and labels are"
            )
        source = data_at(arguments.data, scratch)
        options = Evaluation(format=arguments.format, split=arguments.split, scratch=scratch)
        result = evaluate(model, manifest, source, options)
    for note in result.pop("notes"):
        print(note, file=sys.stderr)
    print(json.dumps(result) if arguments.json else readable(result))
    return 0


def evaluate(model: Path, manifest: Manifest, source: Path, options: Evaluation) -> dict[str, Any]:
    """The measures of the model's own architecture."""
    from vaka.models import architecture

    predict = predictor(graph_of(model))
    measures = architecture(manifest.architecture).evaluate(predict, manifest, source, options)
    return {"model": manifest.name, "task": manifest.task, **measures}


def readable(result: dict[str, Any]) -> str:
    """One measure a line."""
    lines = []
    for name, value in result.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, part in parts:
            lines.append(f"{f'{name} {key}':32}{part:.5g}" if isinstance(part, float) else f"{name:32}{part}")
    return "\n".join(lines)


def data_at(uri: str, scratch: Path) -> Path:
    """The data set on local disk; a packaged one by its name."""
    return storage.fetch(_data_uri(uri), scratch / "data")


def _data_uri(uri: str) -> str:
    if not uri.startswith("pkg://"):
        return uri
    from vaka.data import packaged

    try:
        return str(packaged.ensure(uri.removeprefix("pkg://").strip("/")))
    except packaged.Unavailable as error:
        raise UserError(str(error)) from error

"""`vaka evaluate`: the measures of a model's task on any data set, with ONNX Runtime and without torch."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from vaka import storage
from vaka.api.architectures import ALL_FORMATS, AUTO, check_format, options
from vaka.artifacts.read import graph_of, open_model
from vaka.artifacts.runtime import predictor
from vaka.cli.documents import Loader
from vaka.cli.errors import UserError
from vaka.models.architecture import Evaluation, Published
from vaka.models.pipeline import pipeline

BARE = "onnx"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("evaluate", help="measure a model on a data set", description=__doc__)
    parser.add_argument("--model", required=True, metavar="DIR-OR-URI", help="model folder")
    parser.add_argument(
        "--data", required=True, metavar="URI", help="path, pkg://, file://, s3:// or https://"
    )
    add_data_options(parser)
    parser.add_argument(
        "--split",
        choices=("auto", "train", "validation", "test", "all"),
        default="auto",
        help="which part of the data; auto is test where there is one (default: %(default)s)",
    )
    parser.add_argument("--horizon", type=int, help="steps that a series is forecast (default: the model's)")
    parser.add_argument("--start", help="time from which on a series is forecast, such as 2019-01-01")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(func=run_evaluate)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """How the data is to be read."""
    formats = ", ".join(ALL_FORMATS)
    parser.add_argument("--format", default=AUTO, help=f"one of {formats} (default: %(default)s)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the data set's options are in a TrainingJob, such as a column's name; may be repeated",
    )


def dataset_options(architecture: str, arguments: argparse.Namespace) -> Any:
    """What was given as --format and --option, as the architecture has it; UserError where it has it not."""
    given = dict(option.partition("=")[::2] for option in arguments.option)
    try:
        check_format(architecture, arguments.format, field="--format")
        values = {name: yaml.load(value, Loader) for name, value in given.items()}
        return options(architecture, values, field="--option")
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(str(error)) from error


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
        check_applies(arguments, manifest.task, forecasts=pipeline(manifest, model).forecasts)
        source = data_at(arguments.data, scratch)
        asked = Evaluation(
            format=arguments.format,
            options=dataset_options(manifest.architecture, arguments),
            split=arguments.split,
            scratch=scratch,
            horizon=arguments.horizon,
            start=arguments.start,
        )
        result = evaluate(Published(model, manifest), source, asked)
    for note in result.pop("notes"):
        print(note, file=sys.stderr)
    print(json.dumps(result) if arguments.json else readable(result))
    return 0


def check_applies(arguments: argparse.Namespace, task: str, *, forecasts: bool) -> None:
    """UserError where an option is for models of another kind."""
    if forecasts and arguments.split != "auto":
        told = "a series has no splits: give --start, the time from which on it is forecast"
        raise UserError(f"--split is {arguments.split}: {told}")
    for name, value in (("horizon", arguments.horizon), ("start", arguments.start)):
        if not forecasts and value is not None:
            raise UserError(
                f"--{name} is {value}: it is for forecasts of series, and this model's task is {task}"
            )


def evaluate(model: Published, source: Path, asked: Evaluation) -> dict[str, Any]:
    """The measures of the model's own architecture."""
    from vaka.models import architecture

    predict, manifest = predictor(graph_of(model.folder)), model.manifest
    measures = architecture(manifest.architecture).evaluate(predict, model, source, asked)
    return {"model": manifest.name, "task": manifest.task, **measures}


def readable(result: dict[str, Any]) -> str:
    """One measure a line; tables, such as a confusion matrix, are for --json only."""
    lines = []
    for name, value in result.items():
        if isinstance(value, list):
            continue
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

"""`vaka quantize`: a model folder with a variant in int8, and what that loses on the validation data."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from vaka import storage
from vaka.api.dataset import DatasetSpec
from vaka.artifacts.manifest import MANIFEST, Manifest, Variant, encode
from vaka.artifacts.publish import files_of, publish
from vaka.artifacts.read import open_model
from vaka.cli.errors import UserError
from vaka.cli.evaluate import BARE, add_data_options, data_at, dataset_options
from vaka.models import architecture
from vaka.models.architecture import Published


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("quantize", help="add a variant in int8 to a model", description=__doc__)
    parser.add_argument("--model", required=True, metavar="DIR-OR-URI", help="model folder")
    parser.add_argument(
        "--data", required=True, metavar="URI", help="what it was trained on: path, pkg://, s3:// or https://"
    )
    add_data_options(parser)
    parser.add_argument("--output", required=True, metavar="DIR-OR-URI", help="where the new folder goes")
    parser.set_defaults(func=run_quantize)


def run_quantize(arguments: argparse.Namespace) -> int:
    """Quantise, measure, publish, and print what is lost."""
    with tempfile.TemporaryDirectory(prefix="vaka-quantize-") as folder:
        scratch = Path(folder)
        model = storage.fetch(arguments.model, scratch / "model")
        manifest = open_model(model)
        if manifest.architecture == BARE:
            raise UserError(f"{model} is a bare ONNX file: only a model folder says what its data is")
        source = data_at(arguments.data, scratch)
        new = Path(shutil.copytree(model, scratch / "new"))
        spec = _spec(manifest, source, arguments)
        variant = add(Published(new, manifest), source, spec, scratch=scratch)
        digest = publish(new, arguments.output)
    print(f"{arguments.output} {digest}")
    for name, value in variant.metrics.items():
        print(f"{name:16}{value:.5g} in int8, {value + variant.loss[name]:.5g} before", file=sys.stderr)
    return 0


def _spec(manifest: Manifest, source: Path, arguments: argparse.Namespace) -> DatasetSpec:
    """The data, divided as in training."""
    seed = int(manifest.provenance.get("datasetSeed", "0"))
    options = dataset_options(manifest.architecture, arguments)
    given = {"storageUri": str(source), "format": arguments.format, "seed": seed}
    return msgspec.convert(given | {"options": msgspec.to_builtins(options)}, DatasetSpec)


def add(model: Published, source: Path, spec: DatasetSpec, *, scratch: Path) -> Variant:
    """Put the variant into the folder and its manifest."""
    folder, manifest = model
    try:
        from vaka.artifacts.quantize import add_int8
    except ModuleNotFoundError as error:
        raise UserError(f"quantising needs {error.name}: pip install 'vaka[train]'") from error
    samples, measure = architecture(manifest.architecture).calibration(model, source, spec, scratch)
    variant = add_int8(folder, samples=samples, measure=measure)
    described = structs.replace(manifest, variants=[variant], files=files_of(folder))
    (folder / MANIFEST).write_bytes(encode(described))
    return variant

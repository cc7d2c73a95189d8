"""`vaka run`: the YAML of a TrainingJob, trained and served by processes of this machine."""

import argparse
import hashlib
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import msgspec

from vaka import storage
from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, HTTP_PORT, PublishedModel, Report
from vaka.api.inferenceservice import InferenceService
from vaka.api.run import Run
from vaka.api.search import trial_folder, trial_name
from vaka.api.trainingjob import CUSTOM, TrainingJob, TrainingJobSpec, settings
from vaka.artifacts.manifest import MANIFEST, Manifest
from vaka.cli.documents import Document, name_of, override, parse, read_documents
from vaka.cli.errors import UserError
from vaka.search.space import space_of
from vaka.search.study import Trial
from vaka.search.trial import trial_spec

VOLUMES = Path("vaka-volumes")
"""Holds a folder for each claim, where a cluster has volumes."""
MODELS = Path("models")


class Plan(NamedTuple):
    """What to run: the training, and the name to serve it by; of a search, the training of each trial."""

    run: Run
    service: str
    trial: Callable[[Trial], Run] | None = None


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("run", help="train without a cluster", description=__doc__)
    parser.add_argument("-f", "--file", type=Path, required=True, help="YAML with a TrainingJob")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change a field, such as spec.model.hyperparameters.epochs=3; may be repeated",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the model")
    parser.add_argument("--serve", action="store_true", help="then serve the model until Ctrl-C")
    parser.add_argument("--http-port", type=int, default=HTTP_PORT, help="of --serve (default: %(default)s)")
    parser.set_defaults(func=run_file)


def run_file(arguments: argparse.Namespace) -> int:
    """Train, tell the result, and serve it if so asked."""
    from vaka.cli.display import display
    from vaka.cli.search import search
    from vaka.cli.trainer import forget_checkpoints, train

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    plan = plan_of(arguments.file, arguments.set, arguments.output)
    if plan.run.spec.search and plan.trial:
        best = search(plan.run.spec.model, plan.run.spec.search, plan.trial)
        return _trained(plan._replace(run=best.run), best.model, arguments)
    with display(plan.run.name) as show:
        code, report, log = train(plan.run, show)
    if code or not report or not report.model:
        return _failed(code, report, log)
    forget_checkpoints(plan.run)
    return _trained(plan, report.model, arguments)


def _trained(plan: Plan, model: PublishedModel, arguments: argparse.Namespace) -> int:
    print(summary(plan, model), flush=True)
    return _serve(plan, model, arguments.http_port) if arguments.serve else 0


def plan_of(file: Path, settings: list[str], output: Path | None) -> Plan:
    """What the file asks for, with fields changed; UserError says what is wrong with it."""
    documents = read_documents(file)
    jobs = [d for d in documents if d["kind"] == "TrainingJob"]
    if len(jobs) != 1:
        raise UserError(f"{file} has {len(jobs) or 'no'} TrainingJobs: vaka run takes a file with one")
    for setting in settings:
        override(jobs[0], setting)
    name, job = name_of(jobs[0]), parse(jobs[0], TrainingJob)
    _check_settings(name, job)
    services = [d for d in documents if d["kind"] == "InferenceService"]
    service = next((name_of(d) for d in services if _serves(d, name)), name)
    return Plan(local_run(name, job, output), service, partial(trial_run, name, job, output))


def trial_run(name: str, job: TrainingJob, output: Path | None, trial: Trial) -> Run:
    """The run of a trial: its model goes to a folder of its own where that of the job would go."""
    placed = msgspec.structs.replace(job, spec=trial_spec(job.spec, trial))
    usual = None if job.spec.output.storage_uri else MODELS / name
    place = output or usual
    folder = place and place / trial_folder(trial.number)
    return local_run(trial_name(name, trial.number), placed, folder)


def local_run(name: str, job: TrainingJob, output: Path | None) -> Run:
    """The run with every URI as this machine knows it."""
    spec = job.spec
    target = output_uri(spec.output.storage_uri, output or MODELS / name, given=output is not None)
    dataset = msgspec.structs.replace(spec.dataset, storage_uri=dataset_uri(spec.dataset.storage_uri))
    kept = checkpoint_uri(name, spec, target)
    placed = msgspec.structs.replace(
        spec,
        dataset=dataset,
        output=msgspec.structs.replace(spec.output, storage_uri=target),
        checkpoint=msgspec.structs.replace(spec.checkpoint, storage_uri=kept),
    )
    return Run(
        name=name, namespace="local", uid="local", spec=placed, public_output=target, public_checkpoint=kept
    )


def checkpoint_uri(name: str, spec: TrainingJobSpec, output: str) -> str:
    """Where checkpoints go: a folder for this model and data, so that another run never goes on from them."""
    learned = msgspec.json.encode([spec.model, spec.dataset], order="sorted")
    folder = f"{name}-{hashlib.sha256(learned).hexdigest()[:12]}"
    if spec.checkpoint.storage_uri:
        return f"{output_uri(spec.checkpoint.storage_uri, Path(), given=False)}/{folder}"
    beside = f"{output.rpartition('/')[0]}/" if output.startswith("file://") else output
    return f"{beside}.checkpoints/{folder}"


def dataset_uri(uri: str) -> str:
    """pkg:// and pvc:// as folders of this machine; UserError where nothing is there."""
    if uri.startswith("pkg://"):
        from vaka.data import packaged

        try:
            return packaged.ensure(uri.removeprefix("pkg://").strip("/")).absolute().as_uri()
        except packaged.Unavailable as error:
            raise UserError(str(error)) from error
    if not uri.startswith(("pvc://", "file://")):
        return uri
    path = _volume(uri) if uri.startswith("pvc://") else storage.local_path(uri)
    if not path.exists():
        raise UserError(f"spec.dataset.storageUri is {uri}: there is no {path}")
    return path.absolute().as_uri()


def output_uri(uri: str | None, folder: Path, *, given: bool) -> str:
    """Where the model goes: the folder, unless the job says where and no folder was given."""
    if uri is None or given:
        return folder.absolute().as_uri()
    return _volume(uri).absolute().as_uri() if uri.startswith("pvc://") else uri


def _volume(uri: str) -> Path:
    path = VOLUMES / uri.removeprefix("pvc://")
    if ".." in path.parts:
        raise UserError(f"{uri} leads outside of the claim")
    return path


def _check_settings(name: str, job: TrainingJob) -> None:
    if job.spec.model.architecture == CUSTOM:
        raise UserError(f"TrainingJob {name}: architecture {CUSTOM} is a container: run it in a cluster")
    try:
        settings(job.spec)
        if job.spec.search:
            space_of(job.spec.model, job.spec.search)
    except ValueError as error:
        raise UserError(f"TrainingJob {name}: {error}") from error


def _serves(document: Document, job: str) -> bool:
    reference = parse(document, InferenceService).spec.predictor.model.training_job_ref
    return reference is not None and reference.name == job


def summary(plan: Plan, model: PublishedModel) -> str:
    """What came out, and what one may do next."""
    place = _place(model.uri)
    metrics = "  ".join(f"{m.name} {float(m.value):.5g}" for m in model.metrics)
    quoted = shlex.quote(place)
    notes = "".join(f"\n  data     {note}" for note in _notes(model.uri))
    return f"""
{plan.run.name} is trained.
  metrics  {metrics}
  model    {place}
  digest   {model.digest}{notes}

Next:
  vaka evaluate --model {quoted} --data {shlex.quote(plan.run.spec.dataset.storage_uri)} --json
  vaka serve --model {quoted} --name {plan.service} --http-port {HTTP_PORT}
  vaka predict --model {quoted} INPUT    # a picture, a .json file, or - for JSON on standard input"""


def _notes(uri: str) -> list[str]:
    """What the manifest says of the data; that it cannot be fetched is no reason to hide the rest."""
    with tempfile.TemporaryDirectory(prefix="vaka-run-") as folder, suppress(storage.StorageError):
        file = storage.fetch(f"{uri}/{MANIFEST}", Path(folder) / "fetched")
        return msgspec.json.decode(file.read_bytes(), type=Manifest).notes
    return []


def _place(uri: str) -> str:
    return str(storage.local_path(uri)) if uri.startswith("file://") else uri


def _failed(code: int, report: Report | None, log: list[str]) -> int:
    message = report.message if report else f"the trainer ended with {code} and said nothing"
    if code in (EXIT_DATA, EXIT_CONFIG):
        raise UserError(message)
    print(*log, f"vaka: training failed: {message}", sep="\n", file=sys.stderr)
    return 1


def _serve(plan: Plan, model: PublishedModel, port: int) -> int:
    from vaka.cli.trainer import ended

    command = [sys.executable, "-m", "vaka.cli", "serve", "--model", _place(model.uri)]
    command += [
        "--name",
        plan.service,
        "--host",
        "127.0.0.1",
        "--http-port",
        str(port),
        "--drain-seconds",
        "0",
    ]
    print(f"\nserving {plan.service} on http://127.0.0.1:{port} until Ctrl-C", flush=True)
    process = subprocess.Popen(command, start_new_session=True)
    with ended(process):
        return process.wait()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

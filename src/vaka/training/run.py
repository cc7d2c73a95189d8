"""One run from data set to published model, told to the reporter at every turn."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vaka import storage
from vaka.api.contract import PublishedModel, Run
from vaka.api.hyperparameters import CNN, parse
from vaka.api.reasons import Reason
from vaka.artifacts.manifest import MANIFEST
from vaka.artifacts.publish import check_target, publish
from vaka.models import architecture
from vaka.models.architecture import Architecture, Data, Metrics
from vaka.training.errors import ConfigError
from vaka.training.progress import Estimate, Journal, as_metrics, percentage
from vaka.training.report import Reporter

if TYPE_CHECKING:
    from vaka.training.loop import Progress

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between tries while something is missing; the last one repeats."""
_T = TypeVar("_T")


def execute(run: Run, reporter: Reporter, scratch: Path) -> None:
    """Train and publish. What can come by itself is waited for; all else is raised."""
    built_in = architecture(run.spec.model.architecture)
    try:
        hyper = parse(run.spec.model.architecture, run.spec.model.hyperparameters)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    output = run.spec.output.storage_uri or run.public_output
    check_output(output, reporter, scratch)
    data = read_data(run, built_in, reporter, scratch)
    folder = scratch / "model"
    metrics = train(run, built_in, hyper, data, reporter, folder)
    reporter.say(Reason.PUBLISHING, f"publishing the model to {run.public_output}")
    digest = patiently(lambda: publish(folder, output), reporter)
    model = PublishedModel(uri=run.public_output, digest=digest, metrics=as_metrics(metrics))
    reporter.update(progress_percentage=100, estimated_remaining_seconds=0, model=model)
    reporter.say(Reason.SUCCEEDED, f"published {run.public_output}")


def check_output(uri: str, reporter: Reporter, scratch: Path) -> None:
    """Find out now, and not after the training, that the model cannot be put there."""
    if uri.startswith("s3://"):
        patiently(lambda: _reach(f"{uri}/{MANIFEST}", scratch), reporter)
    else:
        check_target(storage.local_path(uri))


def read_data(run: Run, built_in: Architecture, reporter: Reporter, scratch: Path) -> Data:
    """The data set, as soon as it is there."""
    uri = run.spec.dataset.storage_uri
    reporter.say(Reason.LOADING_DATASET, f"loading {uri}")
    source = patiently(
        lambda: storage.fetch(uri, scratch / "dataset"), reporter, missing=Reason.DATASET_NOT_FOUND
    )
    data = built_in.read(source, run.spec.dataset, scratch)
    for note in data.notes:
        reporter.say(Reason.LOADING_DATASET, note)
    return data


def train(
    run: Run, built_in: Architecture, hyper: CNN, data: Data, reporter: Reporter, folder: Path
) -> Metrics:
    """Train on the data and write the model into the folder; the result is what it achieves."""
    reporter.say(Reason.TRAINING, "starting PyTorch")
    from vaka.training.environment import set_up_torch  # torch takes seconds to import: not before now
    from vaka.training.loop import fit
    from vaka.training.model import write_model

    learner = built_in.learner(data, hyper, set_up_torch())
    reporter.say(Reason.TRAINING, f"training {hyper.epochs} epochs of {learner.steps_per_epoch} steps")
    estimate, journal = Estimate(), Journal()
    started = time.monotonic()

    def told(progress: "Progress") -> None:
        tell(progress, estimate, reporter)
        journal.note(progress)

    network = fit(learner, hyper, told)
    seconds = time.monotonic() - started
    samples = hyper.epochs * learner.steps_per_epoch * learner.samples_per_step
    costs = {"samplesPerSecond": samples / seconds, "trainSeconds": seconds}
    return write_model(
        folder, run=run, task=built_in.TASK, hyper=hyper, learner=learner, network=network, costs=costs
    )


def tell(progress: "Progress", estimate: Estimate, reporter: Reporter) -> None:
    """Progress of the loop into the report."""
    step, steps, seconds = progress.step, progress.steps, progress.seconds
    speed = {"samplesPerSecond": progress.samples / seconds}
    reporter.update(
        progress_percentage=percentage(step, steps),
        estimated_remaining_seconds=estimate.remaining(step=step, steps=steps, seconds=seconds),
        step=step,
        epoch=progress.epoch,
        metrics=as_metrics({"loss": progress.loss} | progress.validation | speed),
    )


def patiently(
    work: Callable[[], _T],
    reporter: Reporter,
    *,
    missing: Reason = Reason.STORAGE_UNREACHABLE,
    pause: Callable[[float], None] = time.sleep,
) -> _T:
    """Do the work, again and again while what it needs is missing or out of reach, and say so meanwhile."""
    before = reporter.report
    for seconds in _pauses():
        try:
            result = work()
        except storage.NotFound as error:
            reporter.say(missing, str(error), waiting=True)
        except (storage.Unreachable, storage.Denied) as error:
            reporter.say(Reason.STORAGE_UNREACHABLE, str(error), waiting=True)
        else:
            break
        pause(seconds)
    reporter.say(Reason(before.reason), before.message)
    return result


def _pauses() -> Iterator[float]:
    return chain(PAUSES, repeat(PAUSES[-1]))


def _reach(uri: str, scratch: Path) -> None:
    """Raises unless the place answers; that there is nothing yet is as it should be."""
    with suppress(storage.NotFound):
        storage.fetch(uri, scratch / "former")

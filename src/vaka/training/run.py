"""One run from data set to published model, told to the reporter at every turn."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from vaka import storage
from vaka.api.architectures.base import Hyperparameters
from vaka.api.contract import PublishedModel
from vaka.api.reasons import Reason
from vaka.api.run import Run
from vaka.api.trainingjob import settings
from vaka.artifacts.manifest import MANIFEST
from vaka.artifacts.publish import check_target, publish
from vaka.models import architecture
from vaka.models.architecture import Architecture, Data, Learner, Metrics
from vaka.training.errors import ConfigError
from vaka.training.group import Alone, Group
from vaka.training.patience import patiently
from vaka.training.progress import Estimate, Journal, as_metrics, percentage
from vaka.training.published import output_of, published, remember
from vaka.training.report import Reporter
from vaka.training.stopping import Stop, Terminated
from vaka.training.threads import Threads

if TYPE_CHECKING:
    from torch import nn

    from vaka.training.checkpoint import Checkpoints
    from vaka.training.snapshot import State
    from vaka.training.watch import Progress, Watch


Join = Callable[[str, Reporter], Group]
"""From the device and the reporter to the group."""


class Turn(NamedTuple):
    """What every part of a run needs."""

    run: Run
    hyper: Hyperparameters
    reporter: Reporter
    scratch: Path
    stop: Stop


def execute(
    run: Run, reporter: Reporter, scratch: Path, *, stop: Stop | None = None, join: Join | None = None
) -> None:
    """Train and publish. What can come by itself is waited for; all else is raised.

    `join` gives the group of processes to train with, once this one has its data; without, it is alone.
    """
    built_in = architecture(run.spec.model.architecture)
    try:
        hyper = settings(run.spec)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    check_output(output_of(run), reporter, scratch)
    if model := patiently(lambda: published(run, scratch), reporter):
        return succeed(reporter, model)
    data = read_data(run, built_in, reporter, scratch)
    turn = Turn(run, hyper, reporter, scratch, stop or Stop())
    train(turn, built_in, data, join or _alone)


def succeed(reporter: Reporter, model: PublishedModel, *, early: str = "") -> None:
    """Tell that all is done; `early` tells why before the last epoch, if so."""
    reporter.update(progress_percentage=100, estimated_remaining_seconds=0, model=model)
    reporter.say(Reason.SUCCEEDED, "; ".join(filter(None, [f"published {model.uri}", early])))


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


def train(turn: Turn, built_in: Architecture, data: Data, join: Join) -> None:
    """Train on the data and publish the model. SIGTERM leaves a checkpoint behind, whenever it comes."""
    hyper, reporter, stop = turn.hyper, turn.reporter, turn.stop
    reporter.say(Reason.TRAINING, "starting PyTorch")
    from vaka.training.environment import set_up_torch  # torch takes seconds to import: not before now
    from vaka.training.loop import begin, fit

    device = set_up_torch()
    learner = built_in.learner(data, hyper, device)
    group = join(device, reporter)
    reporter.say(Reason.TRAINING, f"training {hyper.epochs} epochs of {learner.steps_per_epoch} steps")
    told = partial(
        tell, estimate=Estimate(), journal=Journal(), reporter=reporter, threads=Threads.of(reporter)
    )
    state = begin(learner, hyper, told, group)
    keeper = checkpoints(turn, group)
    keeper.resume(state)
    try:
        with stop.deferred():
            fit(learner, hyper, state, keeper)
        stop.check()
        if early := state.watch.early:
            reporter.say(Reason.TRAINING, early)
        model = finish(turn, built_in, learner, state, group)
    except Terminated:
        keeper.save(state)
        raise
    succeed(reporter, model, early=early)


def finish(
    turn: Turn, built_in: Architecture, learner: Learner, state: "State", group: Group
) -> PublishedModel:
    """What the first process has published, in all processes."""
    word, network = b"", group.whole(state.result())
    if group.part.rank == 0:
        word = msgspec.json.encode(put(turn, *write(turn, built_in, learner, network, state.watch)))
    model = msgspec.json.decode(group.told(word), type=PublishedModel)
    group.leave()
    return model


def checkpoints(turn: Turn, group: Group) -> "Checkpoints":
    """The keeper of this run's checkpoints; without a place for them they end with the process."""
    from vaka.training.checkpoint import Checkpoints
    from vaka.training.checkpoint_folder import CheckpointFolder
    from vaka.training.snapshot import fingerprint

    run, spec = turn.run, turn.run.spec.checkpoint
    uri = spec.storage_uri or (turn.scratch / "kept").as_uri()
    return Checkpoints(
        CheckpointFolder(uri, keep=spec.keep, scratch=turn.scratch, token=group.token),
        spec,
        public=run.public_checkpoint or uri,
        fingerprint=partial(fingerprint, run, turn.hyper),
        stop=turn.stop,
        reporter=turn.reporter,
        group=group,
    )


def write(
    turn: Turn, built_in: Architecture, learner: Learner, network: "nn.Module", watch: "Watch"
) -> tuple[Path, Metrics]:
    """The model folder, and what the model achieves and cost."""
    from vaka.training.model import write_model

    seconds, folder = watch.seconds(), turn.scratch / "model"
    costs = {"samplesPerSecond": watch.step * learner.samples_per_step / seconds, "trainSeconds": seconds}
    metrics = write_model(
        folder,
        run=turn.run,
        task=built_in.TASK,
        hyper=turn.hyper,
        learner=learner,
        network=network,
        history=watch.record().history,
        costs=costs,
    )
    return folder, metrics


def put(turn: Turn, folder: Path, metrics: Metrics) -> PublishedModel:
    """Publish the model folder."""
    uri = turn.run.public_output
    turn.reporter.say(Reason.PUBLISHING, f"publishing the model to {uri}")
    digest = patiently(lambda: publish(folder, output_of(turn.run)), turn.reporter)
    model = PublishedModel(uri=uri, digest=digest, metrics=as_metrics(metrics))
    patiently(lambda: remember(turn.run, model, turn.scratch), turn.reporter)
    return model


def tell(
    progress: "Progress", *, estimate: Estimate, journal: Journal, reporter: Reporter, threads: Threads | None
) -> None:
    """Progress of the loop into the report and, now and then, the log; a look at the threads, too."""
    journal.note(progress)
    if threads:
        threads.look()
    step, steps, seconds = progress.step, progress.steps, progress.seconds
    speed = {"samplesPerSecond": progress.samples / seconds}
    reporter.update(
        progress_percentage=percentage(step, steps),
        estimated_remaining_seconds=estimate.remaining(step=step, steps=steps, seconds=seconds),
        step=step,
        epoch=progress.epoch,
        metrics=as_metrics({"loss": progress.loss} | progress.validation | speed),
    )


def _alone(_device: str, _reporter: Reporter) -> Group:
    return Alone()


def _reach(uri: str, scratch: Path) -> None:
    """Raises unless the place answers; that there is nothing yet is as it should be."""
    with suppress(storage.NotFound):
        storage.fetch(uri, scratch / "former")

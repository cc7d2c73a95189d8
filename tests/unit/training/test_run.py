"""A run in this process: what is published, what is waited for, what ends it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs
from safetensors.numpy import load_file

from vaka.api.contract import EXIT_CONFIG, EXIT_DATA, Report
from vaka.api.reasons import Reason
from vaka.api.run import Run
from vaka.artifacts.publish import PublishError
from vaka.artifacts.read import open_model
from vaka.data.dataset import DatasetError
from vaka.storage import Denied, NotFound, Unreachable
from vaka.training.errors import ConfigError, NonFiniteLoss
from vaka.training.outcome import classify
from vaka.training.patience import patiently
from vaka.training.report import Reporter
from vaka.training.run import execute
from vaka.training.stopping import Terminated

RunOn = Callable[..., Run]
WriteShades = Callable[[Path], None]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_run_publishes_a_model_that_says_where_it_comes_from(
    tmp_path: Path, scratch: Path, run_on: RunOn, write_shades: WriteShades
) -> None:
    write_shades(tmp_path / "shades")
    reporter = Reporter()
    execute(run_on(tmp_path, seed=7, epochs=6), reporter, scratch)
    report = reporter.report
    assert (report.reason, report.progress_percentage, report.epoch) == ("Succeeded", 100, 6)
    assert report.model is not None
    assert report.model.uri == "pvc://models/shades"
    manifest = open_model(tmp_path / "model", digest=report.model.digest)
    assert manifest.task == "image-classification"
    assert manifest.labels == ["0", "1"]
    assert manifest.metrics["accuracy"] > 0.8
    assert manifest.hyperparameters["seed"] == 7
    assert manifest.provenance["uid"] == "1-2"
    assert manifest.notes == ["no test split: 6 of 64 images are held out for validation"]
    assert {"accuracy", "loss", "samplesPerSecond", "trainSeconds"} <= manifest.metrics.keys()
    assert manifest.details["perClassAccuracy"].keys() == {"0", "1"}
    assert {"card.html", "card/learning.png", "card/predictions.png"} <= manifest.files.keys()
    assert load_file(tmp_path / "model/weights.safetensors")["head.weight"].shape == (2, 32)


def test_a_variant_that_is_asked_for_is_published_with_what_it_loses(
    tmp_path: Path, scratch: Path, run_on: RunOn, write_shades: WriteShades
) -> None:
    write_shades(tmp_path / "shades")
    run = run_on(tmp_path, epochs=6)
    output = structs.replace(run.spec.output, precisions=["int8"])
    execute(structs.replace(run, spec=structs.replace(run.spec, output=output)), Reporter(), scratch)
    manifest = open_model(tmp_path / "model")
    (variant,) = manifest.variants
    assert (variant.samples, variant.file in manifest.files) == (58, True)
    assert variant.metrics["accuracy"] + variant.loss["accuracy"] == manifest.metrics["accuracy"] > 0.8


def test_sigterm_while_the_model_is_published_leaves_a_checkpoint_of_the_end(
    tmp_path: Path,
    scratch: Path,
    run_on: RunOn,
    write_shades: WriteShades,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_shades(tmp_path / "shades")
    with monkeypatch.context() as patched:
        patched.setattr("vaka.training.run.publish", interrupted)
        with pytest.raises(Terminated):
            execute(run_on(tmp_path), Reporter(), scratch)
    reporter = Reporter()
    execute(run_on(tmp_path), reporter, scratch)
    assert reporter.report.reason == "Succeeded"
    assert reporter.report.checkpoint
    assert reporter.report.checkpoint.step == 6
    assert open_model(tmp_path / "model").metrics["trainSeconds"] > 0


def interrupted(_folder: Path, _uri: str) -> str:
    raise Terminated


def test_broken_data_ends_the_run_before_anything_is_trained(
    tmp_path: Path, scratch: Path, run_on: RunOn, write_shades: WriteShades
) -> None:
    write_shades(tmp_path / "shades")
    (tmp_path / "shades/train-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(DatasetError, match="train-labels-idx1-ubyte: is empty"):
        execute(run_on(tmp_path), Reporter(), scratch)
    assert not (tmp_path / "model").exists()


def test_an_unknown_hyperparameter_ends_the_run(tmp_path: Path, scratch: Path, run_on: RunOn) -> None:
    with pytest.raises(ConfigError, match=r"hyperparameters\.epoch is unknown to cnn: did you mean epochs"):
        execute(run_on(tmp_path, epoch=3), Reporter(), scratch)


def test_a_place_that_is_taken_ends_the_run_before_it_trains(
    tmp_path: Path, scratch: Path, run_on: RunOn
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/thesis.tex").write_text("")
    with pytest.raises(PublishError, match=r"thesis\.tex"):
        execute(run_on(tmp_path), Reporter(), scratch)


def test_what_is_missing_is_waited_for_longer_and_longer() -> None:
    reporter = Reporter()
    reporter.say(Reason.LOADING_DATASET, "loading")
    errors: Iterator[Exception | None] = iter(
        [NotFound("no d"), Unreachable("b is away"), Denied("no key"), None]
    )
    seen: list[tuple[Report, float]] = []

    def work() -> str:
        if error := next(errors):
            raise error
        return "here"

    found = patiently(
        work,
        reporter,
        missing=Reason.DATASET_NOT_FOUND,
        pause=lambda seconds: seen.append((reporter.report, seconds)),
    )
    assert found == "here"
    assert [(r.reason, r.message, r.waiting) for r, _ in seen] == [
        ("DatasetNotFound", "no d", True),
        ("StorageUnreachable", "b is away", True),
        ("StorageUnreachable", "no key", True),
    ]
    assert [seconds for _, seconds in seen] == [0.5, 1.0, 2.0]
    assert (reporter.report.reason, reporter.report.waiting) == ("LoadingDataset", False)


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (DatasetError(Path("f"), "is bad"), Reason.DATASET_INVALID, EXIT_DATA),
        (ConfigError("bad"), Reason.CONFIG_INVALID, EXIT_CONFIG),
        (PublishError("taken"), Reason.CONFIG_INVALID, EXIT_CONFIG),
        (NonFiniteLoss("nan"), Reason.NON_FINITE_LOSS, EXIT_CONFIG),
        (MemoryError(), Reason.OUT_OF_MEMORY, 1),
        (RuntimeError("CUDA out of memory. Tried ..."), Reason.OUT_OF_MEMORY, 1),
        (RuntimeError("surprise"), Reason.TRAINER_FAILED, 1),
    ],
)
def test_each_failure_has_its_reason_and_exit_code(error: Exception, reason: Reason, code: int) -> None:
    assert classify(error) == (reason, code)

"""A run that goes on from a checkpoint ends like the unbroken one, and nothing broken is ever accepted."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaka.api.architectures.cnn import CNN
from vaka.api.contract import Report
from vaka.api.trainingjob import CheckpointSpec
from vaka.data.dataset import Dataset, Images
from vaka.models.cnn.image_learner import ImageLearner
from vaka.storage import Unreachable
from vaka.training.checkpoint import Checkpoints
from vaka.training.checkpoint_folder import DESCRIPTION, CheckpointFolder, Damaged, Found, verified
from vaka.training.group import Alone
from vaka.training.loop import begin, fit
from vaka.training.report import Reporter
from vaka.training.snapshot import State
from vaka.training.stopping import Stop, Terminated

HYPER = CNN(epochs=3, batch_size=16, width=4, keep_best=True)
STEPS = 12
FINGERPRINT = "sha256:this"


def learner() -> ImageLearner:
    random = np.random.default_rng(0)
    labels = np.arange(64) % 2
    pixels = (random.integers(0, 120, (64, 1, 8, 8)) + 120 * labels[:, None, None, None]).astype(np.uint8)
    images = Images(pixels, labels)
    return ImageLearner(Dataset(images, images, ("dark", "bright")), HYPER, "cpu")


class Process:
    """What one process does: it goes on from the newest checkpoint, and may be stopped after a step."""

    def __init__(self, uri: str, scratch: Path, **spec: Any) -> None:
        self.reporter, self.stop = Reporter(), Stop()
        asked = CheckpointSpec(**{"every_steps": 1} | spec)
        self.folder = CheckpointFolder(uri, keep=asked.keep, scratch=scratch, token="alone")
        self.keeper = Checkpoints(
            self.folder,
            asked,
            public="pvc://c/run",
            fingerprint=lambda _: FINGERPRINT,
            stop=self.stop,
            reporter=self.reporter,
            group=Alone(),
        )

    def run(self, until: int = STEPS) -> State:
        made = learner()
        state = begin(made, HYPER, lambda p: setattr(self.stop, "requested", p.step >= until != STEPS))
        with patch("vaka.training.watch.REPORT_SECONDS", 0):
            self.keeper.resume(state)
            fit(made, HYPER, state, self.keeper)
        return state

    def run_and_stop(self, after: int) -> Report:
        with pytest.raises(Terminated):
            self.run(after)
        return self.reporter.report


def same(one: State, other: State) -> bool:
    mine, theirs = one.tensors(), other.tensors()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)


@pytest.fixture(scope="module")
def unbroken() -> State:
    state = begin(made := learner(), HYPER, lambda _: None)
    fit(made, HYPER, state)
    return state


@given(stops=st.sets(st.integers(1, STEPS - 1), max_size=3))
@settings(max_examples=10)
def test_a_run_stopped_anywhere_ends_like_the_unbroken_one(
    unbroken: State, tmp_path_factory: pytest.TempPathFactory, stops: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for step in sorted(stops):
        report = Process(folder.as_uri(), folder, every_seconds=1000, every_steps=None).run_and_stop(step)
        assert report.checkpoint
        assert report.checkpoint.step == step
        assert report.checkpoint.uri == f"pvc://c/run/step-{step:07}"
    last = Process(folder.as_uri(), folder)
    assert same(state := last.run(), unbroken)
    assert state.watch.record().history == unbroken.watch.record().history
    assert last.reporter.report.message == (f"resumed from step {max(stops)}" if stops else "")


def test_a_run_stopped_after_its_last_step_has_nothing_left_to_do(unbroken: State, tmp_path: Path) -> None:
    first = Process(tmp_path.as_uri(), tmp_path)
    state = first.run()
    first.keeper.save(state)
    again = Process(tmp_path.as_uri(), tmp_path)
    resumed = again.run()
    assert same(resumed, unbroken)
    assert resumed.watch.record().loss == state.watch.record().loss
    assert again.reporter.report.message == "resumed from step 12"


@pytest.mark.parametrize("keep", [1, 2])
def test_only_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    for step in (3, 6, 9):
        Process((tmp_path / "c").as_uri(), tmp_path, keep=keep).run_and_stop(step)
        names = sorted(p.name for p in (tmp_path / "c").iterdir())
        assert names[-1] == f"step-{step:07}"
        assert len(names) <= keep


@pytest.fixture(name="two")
def two_checkpoints(tmp_path: Path) -> Process:
    """A folder with checkpoints of the steps 4 and 8, or s3 where the test says so."""
    return written((tmp_path / "c").as_uri(), tmp_path)


def written(uri: str, scratch: Path) -> Process:
    for step in (4, 8):
        Process(uri, scratch, every_steps=100).run_and_stop(step)
    return Process(uri, scratch, every_steps=100)


def shard(folder: Path) -> Path:
    return next(folder.glob("*.safetensors"))


def truncate(folder: Path) -> None:
    shard(folder).write_bytes(shard(folder).read_bytes()[:-1])


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 1
    file.write_bytes(content)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def rename(folder: Path) -> None:
    folder.rename(folder.with_name("step-0000009"))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "is damaged: shard"),
    "flipped": (lambda f: flip(shard(f), -3), "is damaged: shard"),
    "gone": (lambda f: shard(f).unlink(), "is missing or not what was written"),
    "unfinished": (lambda f: (f / DESCRIPTION).unlink(), "has no checkpoint.json: its writer was stopped"),
    "empty": (empty, "has no checkpoint.json"),
    "no json": (lambda f: (f / DESCRIPTION).write_text("{"), "checkpoint.json cannot be read"),
    "renamed": (rename, "step-0000009 is of step 8"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    two: Process, tmp_path: Path, unbroken: State, damage: str
) -> None:
    spoil, why = DAMAGES[damage]
    spoil(tmp_path / "c/step-0000008")
    assert same(two.run(), unbroken)
    message = two.reporter.report.message
    assert message.startswith("resumed from step 4; step-000000")
    assert why in message


def test_any_flipped_bit_of_the_description_is_seen(two: Process, tmp_path: Path) -> None:
    file = tmp_path / "c/step-0000008" / DESCRIPTION
    whole = file.read_bytes()
    for place in range(len(whole)):
        flip(file, place)
        with pytest.raises(Damaged):
            verified(file.parent, FINGERPRINT)
        file.write_bytes(whole)
    assert two.folder.newest(FINGERPRINT, []) is not None


def test_the_checkpoint_of_another_run_is_never_taken(two: Process) -> None:
    rejected: list[str] = []
    assert two.folder.newest("sha256:other", rejected) is None
    assert rejected == [f"step-000000{n} is of another model or data set" for n in (8, 4)]


def test_what_a_killed_writer_left_is_removed(two: Process, tmp_path: Path) -> None:
    (tmp_path / "c/.step-0000009.dead").mkdir()
    two.run_and_stop(9)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["step-0000008", "step-0000009"]


def test_training_goes_on_where_a_checkpoint_cannot_be_written(tmp_path: Path, unbroken: State) -> None:
    (tmp_path / "c").write_text("no folder")
    process = Process((tmp_path / "c/run").as_uri(), tmp_path)
    with patch.object(CheckpointFolder, "newest", return_value=None):
        assert same(process.run(), unbroken)
    report = process.reporter.report
    assert (report.reason, report.waiting, report.checkpoint) == ("StorageUnreachable", False, None)
    assert "Not a directory" in report.message
    assert report.message.endswith("training goes on")


def test_one_write_at_a_time_and_the_next_as_soon_as_it_may(tmp_path: Path) -> None:
    process = Process(tmp_path.as_uri(), tmp_path, every_steps=1)
    gate, began = threading.Event(), []
    publish = CheckpointFolder.publish

    def slow(self: CheckpointFolder, step: int, describe: Any) -> Any:
        began.append(step)
        gate.wait(60)
        return publish(self, step, describe)

    with patch.object(CheckpointFolder, "publish", slow):
        made = learner()
        state = begin(made, HYPER, lambda p: gate.set() if p.step == 6 else None)
        with patch("vaka.training.watch.REPORT_SECONDS", 0):
            process.keeper.resume(state)
            fit(made, HYPER, state, process.keeper)
        process.keeper.save(state)
    assert began[0] == 1
    assert began[1] >= 6
    assert began[-1] == STEPS


def test_in_s3_too(bucket: str, gateway: tuple[str, Path], tmp_path: Path, unbroken: State) -> None:
    uri = f"s3://{bucket}/models/shades.checkpoints/1-2"
    process = written(uri, tmp_path / "scratch")
    kept = gateway[1] / bucket / "models/shades.checkpoints/1-2"
    assert sorted(p.name for p in kept.iterdir()) == ["step-0000004", "step-0000008"]
    flip(shard(kept / "step-0000008"), -3)
    assert same(process.run(), unbroken)
    assert "resumed from step 4; step-0000008 is damaged" in process.reporter.report.message
    assert not (tmp_path / "scratch/checkpoints").exists() or not list(
        (tmp_path / "scratch/checkpoints").glob(".step*")
    )


def test_an_unfinished_upload_is_no_checkpoint(
    bucket: str, gateway: tuple[str, Path], tmp_path: Path
) -> None:
    uri = f"s3://{bucket}/run"
    process = written(uri, tmp_path)
    (gateway[1] / bucket / "run/step-0000008" / DESCRIPTION).unlink()
    found = process.folder.newest(FINGERPRINT, [])
    assert isinstance(found, Found)
    assert found.description.record.step == 4
    assert not (gateway[1] / bucket / "run/step-0000008").exists()


def test_storage_that_is_away_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    folder = CheckpointFolder("s3://b/run", keep=1, scratch=tmp_path, token="t")
    with pytest.raises(Unreachable):
        folder.newest(FINGERPRINT, [])


@pytest.mark.usefixtures("two")
def test_the_description_says_what_a_person_may_look_for(tmp_path: Path) -> None:
    told = msgspec.json.decode((tmp_path / "c/step-0000008" / DESCRIPTION).read_bytes())["checkpoint"]
    assert told["record"]["step"] == 8
    assert told["record"]["seconds"] > 0
    assert told["time"].endswith("Z")
    assert list(told["files"]) == [shard(tmp_path / "c/step-0000008").name]

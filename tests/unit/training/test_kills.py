"""A trainer that is killed at any moment, and started again, publishes the weights of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from vaka.api.contract import RUN_ENV, Report
from vaka.api.run import Run
from vaka.artifacts.read import open_model
from vaka.training.environment import LISTEN_ENV, TERMINATION_ENV

pytestmark = pytest.mark.distributed

RunOn = Callable[..., Run]
EPOCHS = 40
STEPS = 3 * EPOCHS


class Killed:
    """Runs the same job again and again in a folder, and kills it when a checkpoint of some step is there."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.run = run

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            RUN_ENV: msgspec.json.encode(self.run).decode(),
            LISTEN_ENV: "127.0.0.1:0",
            TERMINATION_ENV: str(self.folder / "termination"),
            "TMPDIR": str(self.folder),
        }
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "vaka.training"], env=environment, stderr=log)

    def kill_at(self, step: int, number: signal.Signals) -> int:
        """Send the signal once the process itself has written a checkpoint of this step or a later one."""
        before, process = self.newest(), self.start()
        while process.poll() is None and self.newest() < max(step, before + 1):
            time.sleep(0.001)
        process.send_signal(number)
        return process.wait()

    def newest(self) -> int:
        names = (self.folder / "checkpoints").glob("step-*")
        return max((int(p.name.removeprefix("step-")) for p in names), default=0)

    def finish(self) -> Report:
        assert self.start().wait() == 0, (self.folder / "log").read_text()
        return self.report()

    def report(self) -> Report:
        return msgspec.json.decode((self.folder / "termination").read_bytes(), type=Report)

    def weights(self) -> str:
        return open_model(self.folder / "model").files["weights.safetensors"].sha256


@pytest.fixture(scope="module", name="shades")
def prepared(tmp_path_factory: pytest.TempPathFactory, write_shades: Callable[[Path], None]) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_shades(folder / "shades")
    return folder / "shades"


@pytest.fixture(scope="module", name="undisturbed")
def run_undisturbed(tmp_path_factory: pytest.TempPathFactory, shades: Path, run_on: RunOn) -> str:
    trainer = killed(tmp_path_factory.mktemp("run"), shades, run_on, {"everySeconds": 1000})
    trainer.finish()
    return trainer.weights()


def killed(folder: Path, shades: Path, run_on: RunOn, checkpoint: dict[str, int]) -> Killed:
    (folder / "shades").symlink_to(shades)
    return Killed(folder, run_on(folder, epochs=EPOCHS, checkpoint=checkpoint))


def test_killed_and_stopped_at_random_steps(
    tmp_path: Path, shades: Path, run_on: RunOn, undisturbed: str
) -> None:
    trainer = killed(tmp_path, shades, run_on, {"everySteps": 3})
    first, second, third = sorted(random.Random(4).sample(range(1, STEPS - 20), 3))
    assert trainer.kill_at(first, signal.SIGKILL) == -signal.SIGKILL
    assert trainer.kill_at(second, signal.SIGTERM) == 128 + signal.SIGTERM
    report = trainer.report()
    assert report.checkpoint
    assert report.checkpoint.step == trainer.newest() >= second, "it is of the step at hand"
    assert report.message == f"stopped by SIGTERM: goes on from step {report.checkpoint.step}"
    assert trainer.kill_at(third, signal.SIGKILL) == -signal.SIGKILL
    last = trainer.finish()
    assert trainer.weights() == undisturbed
    assert last.checkpoint
    assert last.checkpoint.step == STEPS
    assert "resumed from step" in (tmp_path / "log").read_text()
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_every_architecture_goes_on_where_it_was_killed(
    tmp_path: Path, another_architecture: str, run_on: RunOn, write_small: Callable[[str, Path], None]
) -> None:
    def trainer(folder: Path) -> Killed:
        folder.mkdir()
        write_small(another_architecture, folder)
        return Killed(folder, run_on(folder, architecture=another_architecture, checkpoint={"everySteps": 1}))

    calm, other = trainer(tmp_path / "calm"), trainer(tmp_path / "other")
    calm.finish()
    assert other.kill_at(calm.newest() // 2, signal.SIGKILL) == -signal.SIGKILL
    other.finish()
    assert "resumed from step" in (other.folder / "log").read_text()
    assert other.weights() == calm.weights()

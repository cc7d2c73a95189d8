"""The example of a container of one's own keeps the contract of docs/custom-containers.md."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

YAML = Path(__file__).parents[3] / "examples" / "custom-container.yaml"
Start = Callable[[int], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run the example's program for so many steps."""
    _, config = yaml.safe_load_all(YAML.read_text())
    (tmp_path / "fit.py").write_text(config["data"]["fit.py"])

    def run(steps: int) -> subprocess.Popen[str]:
        env = {
            **os.environ,
            "VAKA_HYPERPARAMETERS": json.dumps({"steps": steps, "learningRate": 0.1}),
            "VAKA_OUTPUT": str(tmp_path / "output"),
            "VAKA_CHECKPOINT": str(tmp_path / "checkpoints"),
            "VAKA_TERMINATION_LOG": str(tmp_path / "log"),
        }
        argv = [sys.executable, str(tmp_path / "fit.py")]
        return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)

    return run


def test_it_saves_on_sigterm_and_continues(start: Start, tmp_path: Path) -> None:
    with start(10**9) as first:
        assert first.stdout
        assert first.stdout.readline() == "training begins\n"
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 143
    saved = json.loads((tmp_path / "log").read_text())["checkpoint"]
    with start(saved["step"] + 500) as second:
        assert second.wait(60) == 0
    report = json.loads((tmp_path / "log").read_text())
    assert (report["reason"], report["step"]) == ("Succeeded", saved["step"] + 500)
    assert json.loads((tmp_path / "output" / "line.json").read_text())["offset"] > 1

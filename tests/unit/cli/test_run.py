"""`vaka run` trains with a real trainer process, and ends with it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaka.api.contract import Report
from vaka.api.types import Metric
from vaka.cli.__main__ import main
from vaka.cli.display import describe, duration
from vaka.cli.errors import UserError
from vaka.cli.run import dataset_uri, output_uri, plan_of

JOB = """
apiVersion: vaka.dev/v1alpha1
kind: TrainingJob
metadata: {name: shades}
spec:
  model: {architecture: cnn, hyperparameters: {epochs: 50, batchSize: 8, width: 8}}
  dataset: {storageUri: pvc://claim/shades, format: imagefolder}
---
apiVersion: vaka.dev/v1alpha1
kind: InferenceService
metadata: {name: tell-shades}
spec: {predictor: {model: {trainingJobRef: {name: shades}}}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a job and the data of its claim."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(JOB)
    random = np.random.default_rng(0)
    for name, least in (("dark", 0), ("bright", 130)):
        folder = tmp_path / "vaka-volumes/claim/shades" / name
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = random.integers(least, least + 120, (12, 12), np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def test_a_file_is_trained_and_its_model_evaluated(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = str(here / "job.yaml")
    assert main(["run", "-f", job, "--set", "spec.model.hyperparameters.epochs=3", "--output", "m"]) == 0
    out, progress = capsys.readouterr()
    manifest = json.loads((here / "m/manifest.json").read_text())
    assert manifest["hyperparameters"]["epochs"] == 3
    assert f"vaka serve --model {here}/m --name tell-shades" in out
    assert "digest   sha256:" in out
    assert out.count("data     no test split: 4 of 40 images are held out for validation") == 1
    assert "shades" in progress

    assert main(["evaluate", "--model", "m", "--data", "vaka-volumes/claim/shades", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["count"] == 40
    assert set(result["perClassAccuracy"]) == {"dark", "bright"}
    assert result["model"] == "shades"


def test_sigterm_ends_the_trainer_too(here: Path) -> None:
    command = [sys.executable, "-m", "vaka.cli", "run", "-f", "job.yaml"]
    with subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("shades")
        trainer = next(pid for pid in children(process.pid))
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 130
    assert not Path(f"/proc/{trainer}").exists()
    assert not (here / "models/shades").exists()


def test_what_was_interrupted_goes_on_when_it_is_run_again(here: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "vaka.cli",
        "run",
        "-f",
        "job.yaml",
        "--set",
        "spec.checkpoint.everySteps=5",
    ]
    with subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(here.glob("models/.checkpoints/shades-*/step-*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    ended = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "resumed from step" in ended.stderr
    assert not list(here.glob("models/.checkpoints/*"))


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-f", "missing.yaml"], "missing.yaml: No such file"),
        (["-f", "empty.yaml"], "empty.yaml has no TrainingJobs: vaka run takes a file with one"),
        (["-f", "job.yaml", "--set", "spec.model.hyperparameters.epoch=3"], "did you mean epochs?"),
        (
            ["-f", "job.yaml", "--set", "spec.dataset.storageUri=pvc://other"],
            "there is no vaka-volumes/other",
        ),
        (["-f", "job.yaml", "--set", "spec.dataset.storageUri=pkg://cats"], "cats"),
        (["-f", "job.yaml", "--output", "vaka-volumes"], "vaka-volumes holds claim and no model"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    here: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty.yaml").write_text("")
    assert main(["run", *words]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vaka: ")
    assert message in last


def test_the_service_of_the_job_gives_its_name(here: Path) -> None:
    assert plan_of(here / "job.yaml", [], None).service == "tell-shades"
    assert plan_of(here / "job.yaml", ["metadata.name=other"], None).service == "other"


def test_claims_are_folders_here(here: Path) -> None:
    assert dataset_uri("pvc://claim/shades") == (here / "vaka-volumes/claim/shades").as_uri()
    assert dataset_uri("s3://bucket/x") == "s3://bucket/x"
    assert (
        output_uri("pvc://claim/m", Path("models/x"), given=False) == (here / "vaka-volumes/claim/m").as_uri()
    )
    assert output_uri("s3://bucket/m", Path("models/x"), given=False) == "s3://bucket/m"
    assert output_uri("s3://bucket/m", Path("mine"), given=True) == (here / "mine").as_uri()
    with pytest.raises(UserError, match="leads outside of the claim"):
        dataset_uri("pvc://claim/../..")


def test_a_report_is_told_in_a_few_words() -> None:
    metrics = [Metric(name="loss", value="0.61234"), Metric(name="accuracy", value="0.99")]
    training = Report(reason="Training", step=70, epoch=1, estimated_remaining_seconds=80, metrics=metrics)
    assert describe(training) == "step 70  epoch 1  loss 0.6123  accuracy 0.9900  1m20s left"
    assert describe(Report(reason="DatasetNotFound", message="no d", waiting=True)) == "waiting: no d"
    assert describe(Report(reason="Starting")) == "Starting"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.4, "59s"), (60, "1m00s"), (3725, "1h02m")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_search_runs_its_trials_and_ends_with_the_best(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = (here / "job.yaml").read_text().replace("epochs: 50, batchSize: 8, width: 8", "epochs: 2, width: 8")
    parameters = "[{name: batchSize, choices: [8]}, {name: learningRate, min: 0.001, max: 0.1, log: true}]"
    search = f"  search: {{maxTrials: 2, parallelTrials: 2, parameters: {parameters}}}\n---"
    (here / "job.yaml").write_text(job.replace("---", search))
    assert main(["run", "-f", "job.yaml"]) == 0
    out, told = capsys.readouterr()
    folders = sorted((here / "models/shades").glob("trial-*"))
    assert [folder.name for folder in folders] == ["trial-001", "trial-002"]
    found = [json.loads((folder / "manifest.json").read_text()) for folder in folders]
    assert found[0]["hyperparameters"]["learningRate"] != found[1]["hyperparameters"]["learningRate"]
    best = max(found, key=lambda manifest: float(manifest["metrics"]["accuracy"]))
    assert f"{best['name']} is trained." in out
    assert "trial 2 of 2: Succeeded, accuracy " in told


def test_a_search_for_what_is_unknown_is_refused_before_anything_runs(here: Path) -> None:
    search = "spec.search={parameters: [{name: learnRate, min: 0.1, max: 1}]}"
    with pytest.raises(UserError, match=r"parameters learnRate: .*did you mean learningRate\?"):
        plan_of(here / "job.yaml", [search], None)


def test_a_container_of_ones_own_needs_a_cluster(here: Path) -> None:
    own = JOB.replace("architecture: cnn", "architecture: custom").replace(
        "  dataset:", "  trainer: {image: mine}\n  dataset:"
    )
    (here / "own.yaml").write_text(own)
    with pytest.raises(UserError, match="custom is a container: run it in a cluster"):
        plan_of(here / "own.yaml", [], None)

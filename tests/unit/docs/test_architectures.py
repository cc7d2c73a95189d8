"""The architecture that docs/architectures.md adds works as it stands there, and touches nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/architectures.md"
JOB = """
apiVersion: vaka.dev/v1alpha1
kind: TrainingJob
metadata: {name: line}
spec:
  model: {architecture: linear}
  dataset: {storageUri: "file://FOLDER/table.csv", format: csv}
  output: {precisions: [int8]}
"""


class Copy:
    """A copy of Vaka with the page's files in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "src/vaka", folder / "src/vaka", ignore=shutil.ignore_patterns("__pycache__"))
        for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
            (folder / name).parent.mkdir(exist_ok=True)
            assert not (folder / name).exists()
            (folder / name).write_text(code)

    def python(self, *words: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def vaka(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """With a model that is trained."""
    folder = tmp_path_factory.mktemp("copy")
    features = np.random.default_rng(0).normal(size=(500, 2))
    table = np.column_stack([features, features @ [2, -1] + 0.5])
    np.savetxt(folder / "table.csv", table, delimiter=",")
    (folder / "job.yaml").write_text(JOB.replace("FOLDER", str(folder)))
    copy = Copy(folder)
    copy.python("vaka.cli", "run", "-f", "job.yaml", "--output", "model")
    return copy


def test_it_is_trained_and_published_with_its_card(vaka: Copy) -> None:
    manifest = json.loads((vaka.folder / "model/manifest.json").read_text())
    assert (manifest["architecture"], manifest["task"]) == ("linear", "regression")
    assert manifest["metrics"]["meanAbsoluteError"] < 0.05
    assert manifest["variants"][0]["precision"] == "int8"
    assert {"card.html", "card/predictions.png"} <= manifest["files"].keys()


def test_it_is_evaluated_and_asked(vaka: Copy) -> None:
    told = vaka.python("vaka.cli", "evaluate", "--model", "model", "--data", "table.csv", "--json")
    assert json.loads(told)["meanAbsoluteError"] < 0.05
    (vaka.folder / "one.json").write_text("[1, 1]")
    told = vaka.python("vaka.cli", "predict", "--model", "model", "--json", "one.json")
    assert json.loads(told)["prediction"] == pytest.approx(1.5, abs=0.1)


def test_the_resources_take_its_name(vaka: Copy) -> None:
    (vaka.folder / "crds").mkdir()
    vaka.python("vaka.api.crd", "crds")
    assert "- linear\n" in (vaka.folder / "crds/trainingjobs.yaml").read_text()

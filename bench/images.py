"""How good a recipe for images is: `python bench/images.py examples/mnist-best.yaml --test DIR`.

Trains the YAML's TrainingJob by `vaka run` with several seeds, one after the other, and measures each model
by `vaka evaluate` on the data set in DIR, which should share nothing with the training data. Prints the
accuracies, their mean, and how many images a second were trained on.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SEED = "spec.model.hyperparameters.seed"


def main() -> None:
    """Train and measure with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--test", required=True, help="data set to measure with")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="as for vaka run; may be repeated")
    arguments = parser.parse_args()
    accuracies: list[float] = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory(prefix="vaka-bench-") as folder:
            model = train(arguments.recipe, [*arguments.set, f"{SEED}={seed}"], Path(folder) / "model")
            found = json.loads(vaka("evaluate", "--model", str(model), "--data", arguments.test, "--json"))
            speed = json.loads((model / "manifest.json").read_text())["metrics"]["samplesPerSecond"]
        accuracies.append(found["accuracy"])
        print(f"seed {seed}: {found['accuracy']:.4f} of {found['count']:,}, {speed:.0f} images/s", flush=True)
    print(f"mean {statistics.mean(accuracies):.4f} ({min(accuracies):.4f} .. {max(accuracies):.4f})")


def train(recipe: Path, settings: list[str], model: Path) -> Path:
    """The folder of the model."""
    vaka("run", "-f", str(recipe), "--output", str(model), *(f"--set={setting}" for setting in settings))
    return model


def vaka(*words: str) -> str:
    """What it prints; its progress goes where ours goes."""
    command = [sys.executable, "-m", "vaka.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()

"""The network that every server serves here: a digit classifier of 1.2 million parameters, in ONNX."""

from pathlib import Path

from vaka.devcluster.folders import cache_root

NAME = "cnn"
INPUT, OUTPUT = "input", "output"
SHAPE = (1, 28, 28)
"""Of one row of the input; a row of the output has ten probabilities."""


LOUD = 100


def folder() -> Path:
    """Where measurements keep what is worth keeping."""
    return cache_root() / "bench"


def ensure() -> Path:
    """The ONNX file, made where it is not there yet."""
    path = folder() / f"{NAME}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _export(path)
    return path


def _export(path: Path) -> None:
    """The weights are chance, for speed does not depend on them; large ones last, so that answers differ."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(1)),
    ).eval()
    with torch.no_grad():
        network[-2].weight *= LOUD
    beside = path.with_suffix(".new")
    torch.onnx.export(
        network,
        (torch.zeros(1, *SHAPE),),
        str(beside),
        dynamo=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
    )
    beside.rename(path)

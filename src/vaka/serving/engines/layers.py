"""ncnn's layers, and how they are written."""

from collections import Counter
from dataclasses import dataclass, field

from vaka.serving.engines.ncnn import INPUT, OUTPUT

MAGIC = 7767517
FP32 = b"\0\0\0\0"
"""What stands before weights that are not compressed."""
RELU = 1


@dataclass(kw_only=True)
class Layer:
    """One of ncnn's layers; it has one output."""

    kind: str
    inputs: list[str]
    output: str
    parameters: dict[int, int | float] = field(default_factory=dict)
    weights: bytes = b""


def fused(layers: list[Layer]) -> list[Layer]:
    """ReLUs as a part of the convolution or product before them, if nothing else needs what that gives."""
    uses = Counter(name for layer in layers for name in layer.inputs)
    made = {layer.output: layer for layer in layers}
    kept: list[Layer] = []
    for layer in layers:
        before = made.get(layer.inputs[0])
        if (
            layer.kind == "ReLU"
            and not layer.parameters
            and before
            and before.kind in ("Convolution", "ConvolutionDepthWise", "InnerProduct")
            and 9 not in before.parameters
            and uses[before.output] == 1
        ):
            before.parameters[9] = RELU
            before.output = layer.output
            made[layer.output] = before
        else:
            kept.append(layer)
    return kept


def written(layers: list[Layer], first: str, outputs: list[str]) -> str:
    """The text of the layers; each that takes a blob which others take as well has a copy of its own."""
    uses = Counter(name for layer in layers for name in layer.inputs) + Counter(outputs)
    blobs: dict[str, list[str]] = {}
    lines: list[str] = []

    def line(kind: str, inputs: list[str], made: list[str], words: str = "") -> None:
        names = " ".join([*inputs, *made])
        lines.append(f"{kind} l{len(lines)} {len(inputs)} {len(made)} {names} {words}".rstrip())

    def share(name: str, blob: str) -> None:
        blobs[name] = [blob] if uses[name] < 2 else [f"{blob}_{number}" for number in range(uses[name])]
        if uses[name] > 1:
            line("Split", [blob], blobs[name])

    line("Input", [], [INPUT])
    share(first, INPUT)
    for number, layer in enumerate(layers):
        words = " ".join(f"{key}={_text(value)}" for key, value in layer.parameters.items())
        line(layer.kind, [blobs[name].pop() for name in layer.inputs], [f"b{number}"], words)
        share(layer.output, f"b{number}")
    for place, name in enumerate(outputs):
        line("Split", [blobs[name].pop()], [OUTPUT.format(place)])
    made = sum(int(text.split()[3]) for text in lines)
    return "\n".join([str(MAGIC), f"{len(lines)} {made}", *lines, ""])


def _text(value: int | float) -> str:
    """ncnn takes for a float what has a point."""
    return str(value) if isinstance(value, int) else f"{value:.9e}"

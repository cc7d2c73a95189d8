"""What a contest has found, and whether two engines give the same. It imports no engine: see contest."""

from pathlib import Path

import msgspec
import numpy as np

from vaka.artifacts.manifest import Signature
from vaka.artifacts.tensors import DTYPES, Array
from vaka.serving.engines.engine import Engine, EngineName, Unsuitable
from vaka.serving.engines.samples import alike, noise

VERDICT = "engine.json"
AGREE = ((1, 1.0), (3, 255.0), (16, 255.0), (2, 1.0))
"""Rows, and the largest number of inputs, with which engines have to agree: a graph may take raw pictures."""


class Verdict(msgspec.Struct, frozen=True):
    """The engine to take, and why."""

    engine: EngineName
    why: str


BROKEN_OFF = Verdict("onnxruntime", "the contest broke off")


def verdict_in(folder: Path) -> Verdict | None:
    """What a contest has left there."""
    file = folder / VERDICT
    return msgspec.json.decode(file.read_bytes(), type=Verdict) if file.exists() else None


def tell(verdict: Verdict, folder: Path) -> None:
    """Leave it there, in the place of what may have been left before."""
    beside = folder / f"{VERDICT}.new"
    beside.write_bytes(msgspec.json.encode(verdict))
    beside.rename(folder / VERDICT)


def check_agree(plain: Engine, other: Engine, signature: Signature) -> None:
    """Unsuitable unless both give the same."""
    names = [tensor.name for tensor in signature.outputs]
    for seed, (rows, largest) in enumerate(AGREE if signature.has_free_rows else [(1, 1.0), (1, 255.0)]):
        inputs = noise(signature, rows, largest=largest, seed=seed)
        pairs = zip(names, plain.run(names, inputs), other.run(names, inputs), strict=True)
        if unlike := [name for name, a, b in pairs if not _agree(a, b)]:
            raise Unsuitable(f"{other.name} gives something else as {', '.join(unlike)}")


def _agree(a: Array, b: Array) -> bool:
    """Near zero it is the largest number of all that tells how exact sums are."""
    return alike(a, b, near_zero=1e-5 * max(1.0, float(np.abs(a).max(initial=0.0))))


def check_shapes(signature: Signature) -> None:
    """Unsuitable where a tensor is not of numbers, or has a free dimension beside that of the rows."""
    for tensor in (*signature.inputs, *signature.outputs):
        if -1 in tensor.shape[1:] or DTYPES[tensor.datatype].kind not in "fiu":
            raise Unsuitable(f"{tensor.name} has no shape of numbers that is known")

"""Which engine runs a graph quickest on this machine: `python -m vaka.serving.engines.contest GRAPH FOLDER`.

A process of its own, so that a server lives on whatever another library does with a graph. It leaves its
verdict in the folder, and the graph in the winner's form beside it.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vaka.artifacts.manifest import Signature
from vaka.serving.engines.engine import Engine, Unsuitable
from vaka.serving.engines.ncnn import Ncnn
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.samples import noise
from vaka.serving.engines.translate import translate
from vaka.serving.engines.verdict import Verdict, check_agree, check_shapes, tell

TIMED = (1, 8)
"""Rows with which they are timed."""
ROUNDS = 200
BUDGET_S = 0.2
"""Seconds of a processor after which rounds of one size end, if there have been enough."""
FEWEST = 3
WORTH = 1.15
"""A quicker engine has to be so many times as quick: a change has its risks, and measures their noise."""


def main() -> None:
    """Hold the contest, and tell who has won."""
    os.nice(5)  # requests go first, but it is over soon
    graph, folder = Path(sys.argv[1]), Path(sys.argv[2])
    tell(contest(graph, folder), folder)


def contest(graph: Path, folder: Path) -> Verdict:
    """The verdict on an ONNX graph, of which ncnn's form is left in the folder."""
    plain = OnnxRuntime(graph)
    try:
        check_shapes(plain.signature)
        translate(graph, folder)
        other = Ncnn(folder, plain.signature)
        check_agree(plain, other, plain.signature)
    except Unsuitable as error:
        return Verdict("onnxruntime", str(error))
    sizes = TIMED if plain.signature.has_free_rows else (1,)
    times = min(_times(plain, other, plain.signature, size) for size in sizes)
    told = f"ncnn is {times:.2f} times as quick as ONNX Runtime here"
    return Verdict("ncnn" if times >= WORTH else "onnxruntime", told)


def _times(plain: Engine, other: Engine, signature: Signature, rows: int) -> float:
    """How many times as quick the other engine is, each at its best, in turns."""
    names = [tensor.name for tensor in signature.outputs]
    inputs = noise(signature, rows)
    best, spent = [float("inf")] * 2, 0.0
    for number in range(ROUNDS):
        for place, engine in enumerate((plain, other)):
            took = _seconds(partial(engine.run, names, inputs))
            best[place] = min(best[place], took)
            spent += took
        if spent > BUDGET_S and number >= FEWEST:
            break
    return best[0] / best[1]


def _seconds(run: Callable[[], object]) -> float:
    """Of the processor: on a busy machine a thread would only wait for longer."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


if __name__ == "__main__":
    main()

"""How fast a detector is: `python bench/detection.py [--peer yolov8n.onnx ...]`.

From a picture of 640x480 pixels to its objects: letterbox, the exported graph on ONNX Runtime, suppression of
double boxes. The network is not trained, so the threshold is set where a hundred boxes come through. A peer
is any graph that takes FP32 [1, 3, side, side] of 0..1; it gets the same letterbox, and no suppression.
Prints the median in milliseconds, all measured in turns.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from onnxruntime import InferenceSession, SessionOptions
from PIL import Image

from vaka.artifacts.manifest import Signature, Tensor
from vaka.models.architecture import Graph
from vaka.models.yolo.evaluation import BOXES, INPUT, SCORES, objects_in
from vaka.models.yolo.exported import published
from vaka.models.yolo.letterbox import letterbox
from vaka.models.yolo.net import SIZES, Detector
from vaka.models.yolo.nms import SERVED
from vaka.training.export import write_onnx

CLASSES = 10
THROUGH = 100
"""Boxes that come through the threshold."""
WARM_UP = 3


def main() -> None:
    """Measure all in turns, so that what else the machine does touches all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 640])
    parser.add_argument("--size", choices=SIZES, default="n")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--peer", type=Path, action="append", default=[], help="ONNX file; may be repeated")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    picture = Image.fromarray(pixels)
    runs = {f"vaka {arguments.size} {side}": own(side, picture, arguments) for side in arguments.sides}
    runs |= {peer.stem: other(peer, picture, arguments.threads) for peer in arguments.peer}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(WARM_UP + arguments.rounds):
        for name, run in runs.items():
            start = perf_counter()
            run()
            if number >= WARM_UP:
                taken[name].append(1000 * (perf_counter() - start))
    for name, times in taken.items():
        print(f"{name:24}{statistics.median(times):8.1f} ms   (least {min(times):.1f})")


def session(graph: Path, threads: int) -> InferenceSession:
    options = SessionOptions()
    options.intra_op_num_threads = threads
    return InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def own(side: int, picture: Image.Image, arguments: argparse.Namespace) -> Callable[[], object]:
    """From the picture to its objects by an untrained network of that size."""
    with tempfile.TemporaryDirectory(prefix="vaka-bench-") as folder:
        write_onnx(graph_of(arguments.size, side), Path(folder) / "model.onnx")
        model = session(Path(folder) / "model.onnx", arguments.threads)

    def found() -> tuple[object, np.ndarray, np.ndarray]:
        square, place = letterbox(picture, side)
        boxes, scores = model.run([BOXES, SCORES], {INPUT: square[None]})
        return place, boxes, scores

    likely = np.sort(found()[2].max(axis=2), axis=None)
    how = SERVED._replace(score=float(likely[-THROUGH]))

    def run() -> object:
        place, boxes, scores = found()
        return objects_in((boxes, scores), [(place, *picture.size)], side, how)

    return run


def graph_of(size: str, side: int) -> Graph:
    takes = [Tensor(name=INPUT, datatype="UINT8", shape=[-1, 3, side, side])]
    gives = [Tensor(name=name, datatype="FP32", shape=[-1, -1, -1]) for name in (BOXES, SCORES)]
    return Graph(
        module=published(Detector(SIZES[size], CLASSES), side),
        example=(torch.zeros(2, 3, side, side, dtype=torch.uint8),),
        signature=Signature(inputs=takes, outputs=gives),
        labels=[],
    )


def other(graph: Path, picture: Image.Image, threads: int) -> Callable[[], object]:
    """From the picture to what a peer's graph gives."""
    model = session(graph, threads)
    takes = model.get_inputs()[0]

    def run() -> object:
        square, _ = letterbox(picture, takes.shape[2])
        return model.run(None, {takes.name: square[None].astype(np.float32) / 255})

    return run


if __name__ == "__main__":
    main()

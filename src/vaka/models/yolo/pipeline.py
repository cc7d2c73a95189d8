"""Pictures in, objects out: fitted into the graph's square before, suppressed and put back after."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from PIL import Image

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.artifacts.tensors import Array, from_json
from vaka.models import pictures
from vaka.models.pipeline import Arrays, Pipeline
from vaka.models.yolo.evaluation import BOXES, INPUT, SCORES, objects_in
from vaka.models.yolo.letterbox import Placement, letterbox
from vaka.models.yolo.nms import SERVED, Detections

COUNT, CLASSES = "count", "classes"
PIXELS = Tensor(name=INPUT, datatype="UINT8", shape=[-1, -1, -1, 3])
"""Pictures of one size as they lie in memory: rows of red, green, blue."""
SIGNATURE = Signature(
    inputs=[Tensor(name=INPUT, datatype="BYTES", shape=[-1])],
    outputs=[
        Tensor(name=COUNT, datatype="INT64", shape=[-1]),
        Tensor(name=BOXES, datatype="FP32", shape=[-1, -1, 4]),
        Tensor(name=SCORES, datatype="FP32", shape=[-1, -1]),
        Tensor(name=CLASSES, datatype="INT64", shape=[-1, -1]),
    ],
)
"""Files in. Out: of each picture how many objects it has, the likeliest first, then nothing: class -1."""

WAYS = 'pictures are {"b64": "..."} or pixels [height, width, 3] of one size'

Places: TypeAlias = list[tuple[Placement, int, int]]


class Object(msgspec.Struct):
    """An object: its box is left, top, right, bottom in pixels of the picture that was sent."""

    box: list[float]
    class_: int = msgspec.field(name="class")
    label: str
    score: float


class Objects(msgspec.Struct):
    """The answer for one picture, the likeliest object first."""

    objects: list[Object]


class DetectorPipeline(Pipeline):
    """See `vaka.models.pipeline.Pipeline`."""

    independent_rows = True
    columnar = False
    frames = True
    threaded = True

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        self._side = manifest.signature.inputs[0].shape[2]
        known = {name: value for name, value in manifest.options.items() if name in SERVED._fields}
        self._how = SERVED._replace(**known)

    @property
    def signature(self) -> Signature:
        return SIGNATURE

    def meant(self, inputs: Arrays) -> list[Tensor]:
        """Files, or pictures as they lie in memory."""
        return SIGNATURE.inputs if inputs[INPUT].dtype == object else [PIXELS]

    def encode(self, inputs: Arrays) -> tuple[Arrays, Places]:
        squares, places = [], []
        for number, one in enumerate(inputs[INPUT]):
            picture = _picture(one, f"input {INPUT!r}[{number}]")
            square, place = letterbox(picture, self._side)
            squares.append(square)
            places.append((place, *picture.size))
        return {INPUT: np.stack(squares)}, places

    def decode(self, outputs: Arrays, told: Places) -> Arrays:
        found = objects_in((outputs[BOXES], outputs[SCORES]), told, self._side, self._how)
        counts = np.array([len(objects.scores) for objects in found], np.int64)
        return {COUNT: counts, **_padded(found, int(counts.max(initial=0)))}

    def instances(self, given: list[Any], where: str) -> Arrays:
        for i, one in enumerate(given):
            if not isinstance(one, dict | bytes | list):
                raise BadInput(f"{where}[{i}] is no picture: {WAYS}")
        files = [isinstance(one, dict | bytes) for one in given]
        if not any(files):
            return {INPUT: _same_size(from_json(given, "UINT8", where), where)}
        if not all(files):
            raise BadInput(f"{where}[{files.index(False)}] is no file as others are: send all in one way")
        contents = np.empty(len(given), object)
        for i, one in enumerate(given):
            contents[i] = pictures.unpacked(one, f"{where}[{i}]") if isinstance(one, dict) else one
        return {INPUT: contents}

    def predictions(self, outputs: Arrays) -> list[Any]:
        rows = zip(*(outputs[name] for name in (COUNT, BOXES, SCORES, CLASSES)), strict=True)
        return [
            Objects([self._object(*one) for one in zip(boxes[:n], scores[:n], classes[:n], strict=True)])
            for n, boxes, scores, classes in rows
        ]

    def summary(self, outputs: Mapping[str, Sequence[Array]]) -> Arrays:
        """How many objects of which class."""
        return {"objects": np.array([self._told(classes) for classes in outputs[CLASSES]], object)}

    def instance_schema(self) -> dict[str, Any]:
        file = {"type": "object", "required": ["b64"], "properties": {"b64": {"type": "string"}}}
        return {"oneOf": [file, {"type": "array", "description": "uint8 [height, width, 3]"}]}

    def instance_example(self) -> Any:
        return np.zeros((2, 2, 3), int).tolist()

    def _object(self, box: Array, score: np.float32, kind: np.int64) -> Object:
        return Object(box.tolist(), int(kind), self.manifest.labels[kind], float(score))

    def _told(self, classes: Array) -> str:
        numbers, counts = np.unique(classes[classes >= 0], return_counts=True)
        labels = [self.manifest.labels[number] for number in numbers]
        return ", ".join(f"{count} {label}" for count, label in zip(counts, labels, strict=True))


def pipeline(manifest: Manifest, _: Path) -> Pipeline:
    return DetectorPipeline(manifest)


def _picture(given: Any, where: str) -> Image.Image:
    """Of a file, a file in base64, or pixels uint8 [h, w, 3]."""
    if isinstance(given, str):
        given = pictures.from_base64(given, where)
    return pictures.picture(given, where) if isinstance(given, bytes) else Image.fromarray(given)


def _same_size(pixels: Array, where: str) -> Array:
    if pixels.ndim != 4 or pixels.shape[3] != 3 or not pixels.size:
        told = list(pixels.shape[1:])
        raise BadInput(f"{where}: {WAYS}, here {told}")
    return pixels


def _padded(found: Sequence[Detections], most: int) -> dict[str, Array]:
    boxes = np.zeros((len(found), most, 4), np.float32)
    scores = np.zeros((len(found), most), np.float32)
    classes = np.full((len(found), most), -1, np.int64)
    for row, objects in enumerate(found):
        count = len(objects.scores)
        boxes[row, :count], scores[row, :count], classes[row, :count] = objects
    return {BOXES: boxes, SCORES: scores, CLASSES: classes}

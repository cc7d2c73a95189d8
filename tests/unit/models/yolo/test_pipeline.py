"""Pictures of people's own size in, boxes in their own pixels out."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import Manifest, Signature, Tensor
from vaka.models.pipeline import Pipeline
from vaka.models.yolo.pipeline import pipeline

CELLS = 3


@pytest.fixture
def detector() -> Pipeline:
    signature = Signature(
        inputs=[Tensor(name="image", datatype="UINT8", shape=[-1, 3, 64, 64])],
        outputs=[
            Tensor(name="boxes", datatype="FP32", shape=[-1, CELLS, 4]),
            Tensor(name="scores", datatype="FP32", shape=[-1, CELLS, 2]),
        ],
    )
    known = {"labels": ["red", "blue"], "options": {"score": 0.5, "overlap": 0.6, "most": 10}}
    manifest = Manifest(name="m", architecture="yolo", task="", signature=signature, files={}, **known)
    return pipeline(manifest, Path())


def file(size: tuple[int, int] = (128, 64), kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (200, 0, 0)).save(content, kind)
    return content.getvalue()


def encoded(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def array(*contents: bytes | str) -> Any:
    result = np.empty(len(contents), object)
    result[:] = contents
    return result


def outputs(rows: int) -> dict[str, Any]:
    """In every picture a red object in the middle of the square, an unlikely one, and none."""
    box = np.array([[0.25, 0.375, 0.75, 0.625], [0, 0, 1, 1], [0, 0, 0, 0]], np.float32)
    scores = np.array([[0.9, 0.1], [0.2, 0.4], [0, 0]], np.float32)
    return {"boxes": np.tile(box, (rows, 1, 1)), "scores": np.tile(scores, (rows, 1, 1))}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_boxes_are_in_the_pixels_of_the_picture_that_was_sent(detector: Pipeline, kind: str) -> None:
    inputs, told = detector.encode(detector.instances([encoded(file(kind=kind))], "instances"))
    assert inputs["image"].shape == (1, 3, 64, 64)
    result = detector.decode(outputs(1), told)
    assert result["count"].tolist() == [1]
    assert result["boxes"].tolist() == [[[32, 16, 96, 48]]]
    (prediction,) = detector.predictions(result)
    (found,) = prediction.objects
    assert (found.box, found.class_, found.label) == ([32, 16, 96, 48], 0, "red")
    assert found.score == pytest.approx(0.9)


def test_files_base64_and_pixels_are_the_same_picture(detector: Pipeline) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(file())))
    sent = [
        array(file()),
        array(base64.b64encode(file()).decode()),
        pixels[None],
        detector.instances([pixels.tolist()], "instances")["image"],
    ]
    graphs = [detector.encode({"image": one})[0]["image"] for one in sent]
    assert all(np.array_equal(one, graphs[0]) for one in graphs)


def test_files_and_pixels_are_both_taken_by_type(detector: Pipeline) -> None:
    assert detector.meant({"image": array(file())})[0].datatype == "BYTES"
    assert detector.meant({"image": np.zeros((1, 5, 5, 3), np.uint8)})[0].shape == [-1, -1, -1, 3]


def test_pictures_with_fewer_objects_are_filled_up(detector: Pipeline) -> None:
    _, told = detector.encode({"image": array(file(), file((30, 90)))})
    found = outputs(2)
    found["scores"][1] = 0
    result = detector.decode(found, told)
    assert result["count"].tolist() == [1, 0]
    assert result["classes"].tolist() == [[0], [-1]]
    assert [len(p.objects) for p in detector.predictions(result)] == [1, 0]
    assert detector.summary({"classes": list(result["classes"])})["objects"].tolist() == ["1 red", ""]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([{"b64": "?"}], "instances[0]: b64 is not base64"),
        ([encoded(file()), [[[1, 2, 3]]]], "instances[1] is no file as others are"),
        ([[[1, 2], [3, 4]]], 'pictures are {"b64": "..."} or pixels [height, width, 3] of one size'),
        (["aGFsbG8="], 'instances[0] is no picture: pictures are {"b64": "..."} or pixels'),
        ([encoded(file()), 5], "instances[1] is no picture: pictures are"),
        ([[[[1, 2, 300]]]], "out of the range of UINT8"),
    ],
)
def test_what_is_no_picture_is_named(detector: Pipeline, given: list[Any], complaint: str) -> None:
    with pytest.raises(BadInput) as refused:
        detector.instances(given, "instances")
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"GIF89a", "input 'image'[0]: this is neither PNG nor JPEG"),
        (file()[:60], "input 'image'[0]: the image cannot be read"),
        ("?", "input 'image'[0] is not base64"),
    ],
)
def test_a_file_that_is_no_picture_is_named(detector: Pipeline, content: bytes | str, complaint: str) -> None:
    with pytest.raises(BadInput) as refused:
        detector.encode({"image": array(content)})
    assert complaint in str(refused.value)

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

BRIGHT = np.full((3, 4), 250)
PATH = "/v1/models/m:predict"


def b64(size=(8, 6), kind="PNG", mode="L"):
    """A uniform picture, encoded."""
    file = BytesIO()
    Image.new(mode, size, 250).save(file, kind)
    return {"b64": base64.b64encode(file.getvalue()).decode()}


@pytest.mark.parametrize(
    "instance",
    [
        BRIGHT.tolist(),
        BRIGHT.astype(float).tolist(),
        BRIGHT[:, :, None].tolist(),
        BRIGHT[None].tolist(),
        BRIGHT.ravel().tolist(),
        b64(),
        b64(kind="JPEG"),
    ],
    ids=["HW", "floats", "HWC", "CHW", "flat", "png", "jpeg"],
)
@pytest.mark.parametrize("field", ["instances", "inputs"])
async def test_every_layout_gives_the_same_class(serve, models, tmp_path, instance, field):
    client = await serve(models.brightness(tmp_path / "model"))
    answer = await client.post(PATH, json={field: [instance, np.zeros((3, 4)).tolist()]})
    assert answer.status_code == 200
    bright, dark = answer.json()["predictions"]
    assert (bright["class"], bright["label"], dark["class"], dark["label"]) == (1, "bright", 0, "dark")
    assert bright["probability"] == max(bright["probabilities"]) > 0.99
    assert sum(bright["probabilities"]) == pytest.approx(1)


async def test_channels_last_and_first_are_told_apart(serve, models, tmp_path):
    client = await serve(models.brightness(tmp_path / "model", channels=3))
    image = np.zeros((3, 4, 3))
    image[:, :, 0] = 255
    answers = [
        (await client.post(PATH, json={"instances": [one.tolist()]})).json()
        for one in (image, image.transpose(2, 0, 1), image.ravel())
    ]
    assert answers[0] == answers[1] == answers[2]


async def test_many_images_are_split_and_answered_in_order(serve, models, tmp_path):
    client = await serve(models.brightness(tmp_path / "model"))
    shades = np.random.default_rng(0).choice([0, 255], 77)
    images = np.broadcast_to(shades[:, None], (77, 12)).tolist()
    answer = await client.post(PATH, json={"instances": images})
    assert [p["class"] for p in answer.json()["predictions"]] == (shades // 255).tolist()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not a V1 request"),
        (b"[]", "Expected `object`"),
        (b"\xff", "not a V1 request"),
        (b"[" * 100_000, "not a V1 request"),
        (b"{}", 'needs "instances" or "inputs"'),
        (b'{"instances": []}', "at least one instance"),
        (b'{"instances": 3}', "Expected `array"),
        (b'{"instances": [[1, 2]]}', r"instances[0] has shape [2], the model takes [3, 4], [3, 4, 1]"),
        (b'{"instances": [[[1, 2], [1]]]}', "instances[0]: lists of different lengths"),
        (b'{"instances": [["1", "2"]]}', "instances[0]: not all values are numbers"),
        (b'{"instances": [[0,0,0,0,0,0,0,0,0,0,0,256]]}', "'image'[0]: pixels are 0..255, here 0..256"),
        (b'{"inputs": {"image": [[[[-1,0,0,0],[0,0,0,0],[0,0,0,0]]]]}}', "pixels are 0..255, here -1..0"),
        (b'{"instances": [{"b64": 1}]}', 'must be {"b64": "..."}'),
        (b'{"instances": [{"b64": "%"}]}', "b64 is not base64"),
        (b'{"instances": [{"b64": "AAAA"}]}', "neither PNG nor JPEG"),
        (b'{"instances": [{"b64": "iVBORw0KGgoAAAA="}]}', "cannot be read"),
        (b'{"inputs": {"x": []}}', "the model takes image"),
    ],
)
async def test_a_bad_body_is_answered_with_what_is_wrong(serve, models, tmp_path, body, said):
    client = await serve(models.brightness(tmp_path / "model"))
    answer = await client.post(PATH, content=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


async def test_a_small_file_with_a_huge_picture_is_refused(serve, models, tmp_path):
    client = await serve(models.brightness(tmp_path / "model"))
    answer = await client.post(PATH, json={"instances": [b64(size=(6000, 6000), mode="1")]})
    assert answer.status_code == 400
    assert "6000x6000 pixels, at most 32 million" in answer.json()["error"]


async def test_a_bare_graph_takes_and_gives_rows(serve, models, tmp_path):
    client = await serve(models.identity(tmp_path / "net.onnx"))
    answer = await client.post(PATH, json={"instances": [[1, 2], [3.5, 4]]})
    assert answer.json() == {"predictions": [[1, 2], [3.5, 4]]}


async def test_several_inputs_and_outputs_go_by_name(serve, models, tmp_path):
    client = await serve(models.sums(tmp_path / "net.onnx"))
    rows = {"instances": [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}]}
    columns = {"inputs": {"a": [1, 2], "b": [[1, 2], [3, 4]]}}
    for body in (rows, columns):
        answer = await client.post(PATH, json=body)
        assert answer.json() == {"predictions": [{"double": 2, "total": 3}, {"double": 4, "total": 7}]}


@pytest.mark.parametrize("instance", [{"a": 1}, {"a": 1, "b": [1, 2], "c": 0}, [1], 5])
async def test_a_missing_or_unknown_input_is_named(serve, models, tmp_path, instance):
    client = await serve(models.sums(tmp_path / "net.onnx"))
    answer = await client.post(PATH, json={"instances": [instance]})
    assert answer.status_code == 400
    assert "a, b" in answer.json()["error"]

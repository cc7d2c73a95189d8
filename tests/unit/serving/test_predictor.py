import numpy as np
import pytest
from onnx import TensorProto

from vaka.artifacts.errors import BadInput, ModelInvalid
from vaka.artifacts.manifest import Signature, Tensor
from vaka.artifacts.read import graph_of, open_model
from vaka.serving.predictor import MAX_BATCH, Predictor


def predictor(path) -> Predictor:
    return Predictor(graph_of(path), open_model(path))


def test_arrays_go_in_and_out_by_name(models, tmp_path):
    results = predictor(models.sums(tmp_path / "net.onnx")).predict(
        {"a": np.ones(2, np.float32), "b": np.array([[1, 2], [3, 4]])}
    )
    np.testing.assert_array_equal(results["double"], [2, 2])
    np.testing.assert_array_equal(results["total"], [3, 7])


@pytest.mark.parametrize("count", [1, MAX_BATCH, MAX_BATCH + 1, 3 * MAX_BATCH])
def test_images_beyond_one_batch_are_split_unnoticed(models, tmp_path, count):
    images = np.random.default_rng(0).uniform(0, 255, (count, 1, 3, 4)).astype(np.float32)
    found = predictor(models.brightness(tmp_path / "m")).predict({"image": images})["probabilities"]
    expected = 1 / (1 + np.exp(25.5 - images.mean((1, 2, 3)) / 5))
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "input 'x' is missing"),
        ({"x": np.zeros((1, 2))}, "is FP64, the model takes FP32"),
        ({"x": np.zeros((1, 3), np.float32)}, r"has shape \[1, 3\], the model takes \[-1, 2\]"),
        ({"x": np.zeros((0, 2), np.float32)}, "is empty"),
    ],
)
def test_what_does_not_fit_the_signature_is_refused(models, tmp_path, inputs, said):
    with pytest.raises(BadInput, match=said):
        predictor(models.identity(tmp_path / "net.onnx")).predict(inputs)


def test_a_graph_unlike_its_manifest_is_invalid(models, tmp_path):
    path = models.identity(tmp_path / "net.onnx")
    manifest = open_model(path)
    other = Signature(inputs=[Tensor(name="z", datatype="FP32", shape=[-1, 2])], outputs=[])
    with pytest.raises(ModelInvalid, match="its manifest says"):
        Predictor(path, type(manifest)(**{**_fields(manifest), "signature": other}))


def _fields(manifest):
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_a_graph_that_takes_text_is_given_no_other_bytes(models, tmp_path):
    model = predictor(models.identity(tmp_path / "net.onnx", TensorProto.STRING))
    assert model.predict({"x": np.array([["a", "é"]], object)})["y"].tolist() == [["a", "é"]]
    with pytest.raises(BadInput, match="input 'x': BYTES must be UTF-8"):
        model.predict({"x": np.array([["a", b"\xff\xd8"]], object)})

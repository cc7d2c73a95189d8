import numpy as np

from vaka.serving.engines.ncnn import Ncnn
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.engines.samples import noise
from vaka.serving.engines.translate import translate


def test_inputs_are_left_as_they_are_and_answers_as_they_were(models, tmp_path):
    plain = OnnxRuntime(models.convolutions(tmp_path / "g.onnx"))
    translate(tmp_path / "g.onnx", tmp_path)
    other = Ncnn(tmp_path, plain.signature)
    inputs = noise(plain.signature, 2, largest=255)
    kept = {name: array.copy() for name, array in inputs.items()}
    (first,) = other.run(["y"], inputs)
    before = first.copy()
    other.run(["y"], noise(plain.signature, 2, largest=255, seed=1))
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(inputs["x"], kept["x"])


def test_rows_need_not_lie_side_by_side_in_memory(models, tmp_path):
    plain = OnnxRuntime(models.convolutions(tmp_path / "g.onnx"))
    translate(tmp_path / "g.onnx", tmp_path)
    other = Ncnn(tmp_path, plain.signature)
    inputs = noise(plain.signature, 4, largest=255)
    strided = {"x": np.asfortranarray(inputs["x"])[::-1]}
    np.testing.assert_array_equal(other.run(["y"], strided)[0][::-1], other.run(["y"], inputs)[0])

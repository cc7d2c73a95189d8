"""What a pipeline does of itself; each architecture's own is tested with the architecture."""

from pathlib import Path

import numpy as np
import pytest

from vaka.artifacts.errors import BadInput
from vaka.artifacts.manifest import ImageInput, Manifest, Signature, Tensor
from vaka.models.cnn.pipeline import Classifier
from vaka.models.pipeline import Pipeline, pipeline

TWO = [Tensor(name="a", datatype="FP32", shape=[-1]), Tensor(name="b", datatype="INT64", shape=[-1, 2])]


def manifest(architecture: str, inputs: list[Tensor], image: ImageInput | None = None) -> Manifest:
    signature = Signature(inputs=inputs, outputs=[])
    return Manifest(name="m", architecture=architecture, task="t", signature=signature, image=image, files={})


def test_an_architecture_has_its_own_pipeline_and_any_other_graph_the_plain_one() -> None:
    image = ImageInput(height=2, width=2, channels=1)
    assert isinstance(pipeline(manifest("cnn", TWO[:1], image), Path()), Classifier)
    assert type(pipeline(manifest("onnx", TWO), Path())) is Pipeline


def test_instances_of_several_inputs_are_objects() -> None:
    plain = Pipeline(manifest("onnx", TWO))
    arrays = plain.instances([{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}], "instances")
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1, 2], "b": [[1, 2], [3, 4]]}
    with pytest.raises(BadInput, match=r"instances\[0\] must be an object with the inputs a, b"):
        plain.instances([3], "instances")


def test_the_one_input_may_stand_by_its_name_or_alone() -> None:
    plain = Pipeline(manifest("onnx", TWO[:1]))
    assert plain.instances([1, {"a": 2}], "instances")["a"].tolist() == [1, 2]
    with pytest.raises(BadInput, match=r"instances\[1\]: input 'b' is unknown: the model takes a"):
        plain.instances([1, {"b": 2}], "instances")


def test_a_graph_is_warmed_up_where_its_shapes_are_known() -> None:
    example = Pipeline(manifest("onnx", TWO)).example(3)
    assert example is not None
    assert {name: array.shape for name, array in example.items()} == {"a": (3,), "b": (3, 2)}
    free = Tensor(name="c", datatype="FP32", shape=[-1, -1])
    assert Pipeline(manifest("onnx", [free])).example(3) is None


def test_predictions_are_rows_by_name_where_there_are_several_outputs() -> None:
    plain = Pipeline(manifest("onnx", TWO))
    assert plain.predictions({"y": np.array([[1], [2]])}) == [[1], [2]]
    assert plain.predictions({"y": np.array([1, 2]), "z": np.array([3, 4])}) == [
        {"y": 1, "z": 3},
        {"y": 2, "z": 4},
    ]

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto

from vaka.artifacts.errors import BadInput
from vaka.artifacts.tensors import DTYPES, from_json
from vaka.serving import v2

PATH = "/v2/models/m/infer"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def values(datatype):
    if datatype == "BYTES":
        return TEXT
    dtype = DTYPES[datatype]
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    return arrays.from_dtype(dtype, **finite)


@given(st.data())
def test_what_is_encoded_is_decoded_for_every_datatype(data):
    datatype = data.draw(st.sampled_from(sorted(DTYPES)))
    shape = data.draw(arrays.array_shapes(max_dims=4, max_side=3))
    array = data.draw(arrays.arrays(DTYPES[datatype], shape, elements=values(datatype)))
    request = v2.InferRequest(inputs=[], id="7")
    tensor = msgspec.json.decode(v2.encode(request, {"x": array}, "m").body)["outputs"][0]
    nested = {**tensor, "data": array.tolist()}
    for form in (tensor, nested):
        _, decoded = v2.decode(msgspec.json.encode({"inputs": [form]}))
        assert decoded["x"].dtype == array.dtype
        np.testing.assert_array_equal(decoded["x"], array)


@given(st.data())
def test_the_same_holds_for_tensors_as_bytes(data):
    arrays_ = {}
    only = data.draw(st.sampled_from([[], ["x"], ["y"]]))
    for name in ("x", "y"):
        datatype = data.draw(st.sampled_from(sorted(DTYPES)))
        shape = data.draw(arrays.array_shapes(max_dims=3, max_side=3))
        comes_as_json = only and name not in only  # which has neither infinity nor NaN
        elements = values(datatype) if comes_as_json or datatype == "BYTES" else None
        arrays_[name] = data.draw(arrays.arrays(DTYPES[datatype], shape, elements=elements))
    asked = v2.InferRequest(
        inputs=[],
        outputs=[v2.RequestedOutput(name, v2.OutputParameters(name in only)) for name in only],
        parameters=v2.RequestParameters(binary_data_output=not only),
    )
    body, length = v2.encode(asked, arrays_, "m")
    assert length is not None
    header = msgspec.json.decode(body[:length])
    again = msgspec.json.encode({"inputs": header["outputs"]})
    _, decoded = v2.decode(again + body[length:], len(again))
    for name, array in arrays_.items():
        assert decoded[name].dtype == array.dtype
        np.testing.assert_array_equal(decoded[name], array)


@pytest.mark.parametrize(
    ("tensor", "tail", "said"),
    [
        ({"parameters": {"binary_data_size": 9}}, b"12345678", "binary_data_size is 9, 8 bytes are left"),
        ({"parameters": {"binary_data_size": -1}}, b"", "binary_data_size is -1"),
        ({"parameters": {"binary_data_size": 8}}, b"123456789", "1 bytes follow the last tensor"),
        ({"parameters": {"binary_data_size": 7}}, b"1234567", "no whole number of FP32"),
        ({}, b"", "neither data nor binary_data_size"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(tensor, tail, said):
    header = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], **tensor}]}).encode()
    with pytest.raises(BadInput, match=said):
        v2.decode(header + tail, len(header))


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT8", [128]),
        ("UINT8", [-1]),
        ("UINT64", [2**64]),
        ("INT64", [2**63]),
        ("INT32", [1.5]),
        ("INT32", ["1"]),
        ("INT32", [True]),
        ("BOOL", [1]),
        ("FP16", [70000]),
        ("FP32", [1e39]),
        ("FP32", [None]),
        ("FP32", [True]),
        ("BYTES", [1]),
        ("BYTES", [["a"], ["b", "c"]]),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_not_bent(datatype, data):
    with pytest.raises(BadInput, match=datatype):
        from_json(data, datatype, "x")


def test_large_whole_numbers_stay_exact():
    values = [2**63, 2**64 - 1, 2**53 + 1, 0]
    assert from_json(values, "UINT64", "x").tolist() == values


def body(**change):
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]} | change
    return {"inputs": [tensor]}


async def test_an_inference_gives_shape_type_and_id_back(serve, models, tmp_path):
    client = await serve(models.identity(tmp_path / "net.onnx"))
    asked = body() | {"id": "42", "parameters": {"any": 1}, "outputs": [{"name": "y"}]}
    for path in (PATH, "/v2/models/m/versions/1/infer"):
        answer = await client.post(path, json=asked)
        tensor = {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
        assert answer.json() == {"model_name": "m", "model_version": "1", "id": "42", "outputs": [tensor]}


async def test_only_the_outputs_asked_for_are_given(serve, models, tmp_path):
    client = await serve(models.sums(tmp_path / "net.onnx"))
    a = {"name": "a", "datatype": "FP32", "shape": [1], "data": [1]}
    b = {"name": "b", "datatype": "INT64", "shape": [1, 2], "data": [[2, 3]]}
    answer = await client.post(PATH, json={"inputs": [a, b], "outputs": [{"name": "total"}]})
    assert [(o["name"], o["data"]) for o in answer.json()["outputs"]] == [("total", [5])]
    refused = await client.post(PATH, json={"inputs": [a, b], "outputs": [{"name": "none"}]})
    assert refused.json() == {"error": "output 'none' is unknown: the model gives double, total"}


async def test_strings_pass_through(serve, models, tmp_path):
    client = await serve(models.identity(tmp_path / "net.onnx", TensorProto.STRING))
    answer = await client.post(PATH, json=body(datatype="BYTES", data=["a", "ü", "", "\N{SNOWMAN}"]))
    assert answer.json()["outputs"][0]["data"] == ["a", "ü", "", "\N{SNOWMAN}"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "z"}, "input 'z' is unknown: the model takes x"),
        ({"datatype": "FP64"}, "input 'x' is FP64, the model takes FP32"),
        ({"datatype": "FLOAT"}, "input 'x' has datatype 'FLOAT': known are BOOL"),
        ({"shape": [4, 1]}, "input 'x' has shape [4, 1], the model takes [-1, 2]"),
        ({"shape": [4]}, "input 'x' has shape [4], the model takes [-1, 2]"),
        ({"shape": [3, 2]}, "input 'x': data has 4 values, shape [3, 2] needs 6"),
        ({"shape": [-2, -2]}, "has a negative size"),
        ({"shape": [2**62, 2**62]}, "data has 4 values"),
        ({"shape": [0, 2], "data": []}, "is empty"),
        ({"data": [[1, 2, 3, 4]]}, "data has shape [1, 4] and shape says [2, 2]"),
        ({"data": "abcd"}, "not all values are numbers"),
        ({"data": {"a": 1}}, "not all values are numbers"),
        ({"shape": "2"}, "Expected `array`, got `str` - at `$.inputs[0].shape`"),
    ],
)
async def test_what_is_wrong_with_a_tensor_is_said(serve, models, tmp_path, change, said):
    client = await serve(models.identity(tmp_path / "net.onnx"))
    answer = await client.post(PATH, json=body(**change))
    assert answer.status_code == 400
    assert said in answer.json()["error"]


async def test_a_tensor_given_twice_or_not_at_all_is_refused(serve, models, tmp_path):
    client = await serve(models.identity(tmp_path / "net.onnx"))
    twice = {"inputs": body()["inputs"] * 2}
    assert "given twice" in (await client.post(PATH, json=twice)).json()["error"]
    assert "'x' is missing" in (await client.post(PATH, json={"inputs": []})).json()["error"]


def test_not_a_number_becomes_null():
    request = v2.InferRequest(inputs=[])
    encoded = v2.encode(request, {"y": np.array([np.nan, np.inf, 1.0], np.float32)}, "m")
    assert json.loads(encoded.body)["outputs"][0]["data"] == [None, None, 1.0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
LIKE_V1 = st.fixed_dictionaries({}, optional={"instances": JSON, "inputs": JSON})
LIKE_V2 = st.builds(
    lambda tensors, rest: {"inputs": tensors, **rest},
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["image", "x"]),
                "datatype": st.sampled_from(["FP32", "BYTES", "INT64", ""]),
                "shape": JSON | st.lists(st.integers(-1, 4), max_size=4),
                "data": JSON,
            }
        ),
        max_size=2,
    ),
    st.fixed_dictionaries({}, optional={"id": JSON, "outputs": JSON, "parameters": JSON}),
)


async def test_no_body_gives_a_server_error(serve, models, tmp_path):
    """Any JSON, and JSON of nearly the right form, to both protocols."""
    client = await serve(models.brightness(tmp_path / "model"))
    bodies: list[bytes] = []

    @given(JSON | LIKE_V1 | LIKE_V2)
    def collect(document):
        bodies.append(json.dumps(document).encode())

    collect()
    for content in bodies:
        for path in ("/v1/models/m:predict", PATH):
            answer = await client.post(path, content=content)
            assert answer.status_code in (200, 400), content
            assert answer.status_code == 200 or answer.json()["error"]

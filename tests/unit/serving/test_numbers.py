import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vaka.artifacts.errors import BadInput
from vaka.artifacts.tensors import DTYPES, from_json
from vaka.serving import numbers, v2

NUMERIC = ["FP32", "FP64", "INT8", "INT64", "UINT8", "FP16"]
NUMBER = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(-1e30, 1e30), st.integers(-300, 300), st.integers(0, 2**70)
)
MESSY = st.recursive(
    st.one_of(NUMBER, st.booleans(), st.none(), st.text(max_size=3), st.just("[")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=12,
)


def exact(values, datatype):
    try:
        return from_json(values, datatype, "x")
    except BadInput:
        return None


@given(st.lists(MESSY, min_size=1, max_size=3), st.sampled_from(NUMERIC))
def test_what_is_read_the_fast_way_is_what_the_exact_way_reads(values, datatype):
    read = numbers.v1_rows(json.dumps({"instances": values}).encode(), datatype)
    if read is not None:
        assert read[0] == "instances"
        np.testing.assert_array_equal(read[1], exact(values, datatype), strict=True)


@given(st.data(), st.sampled_from(NUMERIC))
def test_a_regular_body_is_read_the_fast_way(data, datatype):
    shape = data.draw(arrays.array_shapes(max_dims=4, max_side=4))
    finite = {"allow_nan": False, "allow_infinity": False} if DTYPES[datatype].kind == "f" else {}
    array = data.draw(arrays.arrays(DTYPES[datatype], shape, elements=finite))
    body = json.dumps({"instances": array.tolist()}).encode()
    _, read = numbers.v1_rows(body, datatype)
    np.testing.assert_array_equal(read, array, strict=True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[1, 2], [3]]}',
        b'{"instances": [[1], [2], [3, 4]]}',
        b'{"instances": [[[], [1, 2]], [[3], [4]]]}',
        b'{"instances": [[1, [2]]]}',
        b'{"instances": []}',
        b'{"instances": [[]]}',
        b'{"instances": [1, true]}',
        b'{"instances": [1e39]}',
        b'{"instances": [1], "other": 2}',
        b'{"instances": {"a": [1]}}',
        b"[1]",
        b"1",
        b"",
        b'{"instances": [1]} x',
    ],
)
def test_what_is_irregular_is_left_to_the_exact_way(body):
    assert numbers.v1_rows(body, "FP32") is None
    assert numbers.v1_rows(b'{"instances": [[1, 2]]}', "FP32") is not None  # and the next one is read


@given(
    st.lists(st.lists(st.integers(0, 99), min_size=2, max_size=2), min_size=1, max_size=3),
    st.integers(0, 60),
    st.sampled_from([b"", b"7", b"-", b"e", b".", b",", b"[", b"]", b"null", b'"1"', b"true", b" "]),
)
def test_a_body_like_one_before_is_read_no_less_exactly(rows, place, instead):
    body = json.dumps({"instances": rows}).encode()
    assert numbers.v1_rows(body, "FP32") is not None
    changed = body[:place] + instead + body[place + 1 :]
    read = numbers.v1_rows(changed, "FP32")
    if read is not None:
        field, array = read
        np.testing.assert_array_equal(array, exact(json.loads(changed)[field], "FP32"), strict=True)


def test_no_more_shapes_are_remembered_than_fit():
    for i in range(1, 2 * numbers.SKELETONS):
        body = json.dumps({"instances": [0] * i}).encode()
        assert numbers.v1_rows(body, "INT64")[1].shape == (i,)
    assert len(numbers._shapes()._known) == numbers.SKELETONS


@given(
    st.lists(st.one_of(NUMBER, st.lists(NUMBER, max_size=2), st.none()), max_size=4),
    st.sampled_from(NUMERIC),
    st.dictionaries(st.sampled_from(["id", "parameters"]), st.sampled_from(["7", "[", {}, {"a": [1]}])),
)
def test_the_same_holds_for_v2(values, datatype, more):
    tensor = {"name": "x", "shape": [len(values)], "datatype": datatype, "data": values}
    body = json.dumps({"inputs": [tensor], **more}).encode()
    read = numbers.v2_inputs(body)
    if read is not None:
        rest, [(described, array)] = read
        assert rest == more
        assert described == {key: value for key, value in tensor.items() if key != "data"}
        np.testing.assert_array_equal(array, exact(values, datatype), strict=True)


def test_a_plain_v2_body_is_read_the_fast_way():
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5], "parameters": {}}
    body = json.dumps({"id": "7", "inputs": [tensor], "outputs": [{"name": "y"}]}).encode()
    assert numbers.v2_inputs(body) is not None
    request, decoded = v2.decode(body)
    assert (request.id, request.outputs[0].name) == ("7", "y")
    np.testing.assert_array_equal(decoded["x"], np.array([[1, 2.5]], np.float32), strict=True)

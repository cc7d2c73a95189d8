import onnx
import pytest
from onnx import TensorProto, numpy_helper

from vaka.serving.engines.engine import Unsuitable
from vaka.serving.engines.onnx_file import array_of
from vaka.serving.pb import onnx_graph_pb2


@pytest.mark.parametrize("message", onnx_graph_pb2.DESCRIPTOR.message_types_by_name)
def test_fields_have_the_numbers_and_types_of_onnx(message):
    ours, theirs = getattr(onnx_graph_pb2, message).DESCRIPTOR, getattr(onnx, message).DESCRIPTOR
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (other.number, other.is_repeated)
        assert field.type == other.type or field.enum_type or other.enum_type


@pytest.mark.parametrize("number", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_weights_of_another_type_are_unsuitable(number):
    tensor = onnx.helper.make_tensor("w", number, [1], [1.0])
    with pytest.raises(Unsuitable, match="w is of type"):
        array_of(onnx_graph_pb2.TensorProto.FromString(tensor.SerializeToString()))


@pytest.mark.parametrize("raw", [True, False])
def test_weights_may_be_numbers_or_bytes(raw):
    values = [1.5, -2.0]
    content = numpy_helper.from_array(numpy_helper.np.array(values, "f4")).raw_data if raw else values
    tensor = onnx.helper.make_tensor("w", TensorProto.FLOAT, [1, 2], content, raw=raw)
    found = array_of(onnx_graph_pb2.TensorProto.FromString(tensor.SerializeToString()))
    assert found.tolist() == [values]

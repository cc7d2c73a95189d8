"""The signature that an ONNX graph itself declares, in the Open Inference Protocol's terms."""

from typing import TYPE_CHECKING

from vaka.artifacts.errors import ModelInvalid
from vaka.artifacts.manifest import Datatype, Signature, Tensor

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg  # type: ignore[import-untyped]

DATATYPES: dict[str, Datatype] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


def signature_of(session: "InferenceSession") -> Signature:
    """Inputs and outputs of a loaded graph; symbolic dimensions become -1."""
    return Signature(
        inputs=[_tensor(arg) for arg in session.get_inputs()],
        outputs=[_tensor(arg) for arg in session.get_outputs()],
    )


def _tensor(arg: "NodeArg") -> Tensor:
    if arg.type not in DATATYPES:
        known = ", ".join(DATATYPES.values())
        raise ModelInvalid(f"{arg.name!r} of the graph is {arg.type}: only tensors of {known} are served")
    shape = [size if isinstance(size, int) and size >= 0 else -1 for size in arg.shape]
    return Tensor(name=arg.name, datatype=DATATYPES[arg.type], shape=shape)

"""manifest.json: what a model folder holds, what the model takes and gives, and where it came from.

A model folder is `manifest.json` and the files that it lists by digest, `model.onnx` and
`weights.safetensors` among them. The digest of the folder is the digest of the manifest's bytes.
"""

import hashlib
from typing import Any, Literal

import msgspec

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
WEIGHTS = "weights.safetensors"

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]


class Tensor(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """A named input or output in the Open Inference Protocol's terms; -1 is a free dimension."""

    name: str
    datatype: Datatype
    shape: list[int]

    def shape_of(self, rows: int) -> list[int]:
        """The shape with so many rows, where their number is free; other free dimensions are 1."""
        return [rows if i == 0 and size == -1 else max(size, 1) for i, size in enumerate(self.shape)]


class Signature(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    inputs: list[Tensor]
    outputs: list[Tensor]

    @property
    def has_free_rows(self) -> bool:
        """Whether all tensors have as many rows as one likes."""
        tensors = (*self.inputs, *self.outputs)
        return bool(self.inputs) and all(tensor.shape[:1] == [-1] for tensor in tensors)


class File(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    sha256: str
    size: int


class ImageInput(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """What the graph wants of a picture: raw values 0..255 in NCHW; the graph itself normalises them."""

    height: int
    width: int
    channels: int


FULL = "fp32"
"""The precision of the model itself."""


class Variant(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """The same model in less precision, and what that costs."""

    precision: Literal["int8"]
    file: str
    metrics: dict[str, float]
    """Measured as those of the model itself are."""
    loss: dict[str, float]
    """By how much each is smaller than with the model itself, on the same data."""
    samples: int
    """From how many of the training data the ranges of its numbers were found."""


class Manifest(msgspec.Struct, rename="camel", kw_only=True, frozen=True, omit_defaults=True):
    format_version: Literal[1] = 1
    name: str
    architecture: str
    task: str
    signature: Signature
    image: ImageInput | None = None
    labels: list[str] = []
    options: dict[str, Any] = {}
    """What the architecture's pipeline has to know, such as a horizon."""
    metrics: dict[str, float] = {}
    details: dict[str, Any] = {}
    """Measures that are no single numbers, such as a confusion matrix."""
    notes: list[str] = []
    """What a person should know of the data that it learned from, such as what was changed in them."""
    hyperparameters: dict[str, Any] = {}
    provenance: dict[str, str] = {}
    files: dict[str, File]
    variants: list[Variant] = []


def encode(manifest: Manifest) -> bytes:
    """The manifest as the bytes that stand in manifest.json."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def digest_of(content: bytes) -> str:
    """`sha256:` and the hexadecimal digest of the manifest's bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()

"""The V1 protocol (TensorFlow Serving's and KServe's): {"instances": [...]} to {"predictions": [...]}.

Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from vaka.artifacts.manifest import Manifest, Tensor
from vaka.serving import images, numbers
from vaka.serving.errors import BadRequest
from vaka.serving.tensors import Array, check_names, from_json, with_ones

CLASSIFICATION = "image-classification"


class _Body(msgspec.Struct):
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None


class Classification(msgspec.Struct):
    """The answer for one image: the likeliest class and the probability of each."""

    class_: int = msgspec.field(name="class")
    label: str
    probability: float
    probabilities: list[float]


def decode(body: bytes, manifest: Manifest) -> dict[str, Array]:
    """The model's inputs; `instances` are rows, `inputs` rows or a whole tensor for each input's name."""
    signature = manifest.signature.inputs
    is_picture = manifest.image is not None and manifest.task == CLASSIFICATION
    if len(signature) == 1 and (read := numbers.v1_rows(body, signature[0].datatype)):
        field, array = read
        if manifest.image and is_picture:
            return {signature[0].name: images.from_numbers(array, manifest.image, field)}
        return {signature[0].name: with_ones(array, signature[0])}
    field, given = _parsed(body)
    if isinstance(given, dict):
        check_names(given, signature, f"{field}: ")
        return {t.name: from_json(given[t.name], t.datatype, f"{field}.{t.name}") for t in signature}
    if manifest.image and is_picture:
        pixels = [images.decode(one, manifest.image, f"{field}[{i}]") for i, one in enumerate(given)]
        return {signature[0].name: np.stack(pixels)}
    if len(signature) == 1 and not isinstance(given[0], dict):
        return {signature[0].name: with_ones(from_json(given, signature[0].datatype, field), signature[0])}
    return _by_name(given, signature, field)


def _parsed(body: bytes) -> tuple[str, list[Any] | dict[str, Any]]:
    """The field that holds the instances, and these, at least one."""
    try:
        request = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not a V1 request: {error}") from None
    field = "inputs" if request.instances is None else "instances"
    given = request.inputs if request.instances is None else request.instances
    if not given:
        raise BadRequest('the body needs "instances" or "inputs" with at least one instance')
    return field, given


def encode(outputs: Mapping[str, Array], manifest: Manifest) -> bytes:
    """{"predictions": [...]}, one for each instance; NaN and infinity become null, as JSON has neither."""
    if manifest.task == CLASSIFICATION and "probabilities" in outputs:
        answers = classifications(outputs["probabilities"], manifest.labels)
        return msgspec.json.encode({"predictions": answers})
    return msgspec.json.encode({"predictions": _rows(outputs)})


def classifications(probabilities: Array, labels: list[str]) -> list[Classification]:
    """Answers for probabilities [n, classes]; a class without a label is called by its number."""
    return [Classification(*likeliest(row, labels), row.tolist()) for row in probabilities]


def likeliest(row: Array, labels: list[str]) -> tuple[int, str, float]:
    """Class, label and probability of what is likeliest in a row of probabilities."""
    best = int(np.argmax(row))
    return best, labels[best] if best < len(labels) else str(best), float(row[best])


def _by_name(given: list[Any], signature: list[Tensor], where: str) -> dict[str, Array]:
    names = ", ".join(tensor.name for tensor in signature)
    for i, instance in enumerate(given):
        if not isinstance(instance, dict):
            raise BadRequest(f"{where}[{i}] must be an object with the inputs {names}")
        check_names(instance, signature, f"{where}[{i}]: ")
    return {t.name: from_json([one[t.name] for one in given], t.datatype, t.name) for t in signature}


def _rows(outputs: Mapping[str, Array]) -> list[Any]:
    for name, array in outputs.items():
        if array.ndim == 0:
            raise BadRequest(f"output {name!r} is no batch, so V1 cannot tell it: use /v2/models/NAME/infer")
    if len(outputs) == 1:
        rows: list[Any] = next(iter(outputs.values())).tolist()
        return rows
    columns = {name: array.tolist() for name, array in outputs.items()}
    if len({len(column) for column in columns.values()}) > 1:
        raise BadRequest(
            "the outputs are of different length, so V1 cannot tell them: use /v2/models/NAME/infer"
        )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

"""The YAML files that people write, checked as strictly as the API server does."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import inspect

from vaka.api.inferenceservice import InferenceService
from vaka.api.trainingjob import TrainingJob
from vaka.api.types import API_VERSION, Resource
from vaka.cli.errors import UserError

KINDS: dict[str, type[Resource]] = {"TrainingJob": TrainingJob, "InferenceService": InferenceService}
_ENVELOPE = ("apiVersion", "kind", "metadata")
_NAME = "[a-z]([-a-z0-9]{0,50}[a-z0-9])?"
_MATCHES = re.compile(r"self\.matches\('(.*)'\)")
_R = TypeVar("_R", bound=Resource)
Document = dict[str, Any]


class Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: what looks like a date is text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_documents(file: Path) -> list[Document]:
    """All YAML documents of the file that are of a kind of Vaka's; UserError where one is not YAML."""
    try:
        documents = [d for d in yaml.load_all(file.read_text(), Loader) if d is not None]
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
            raise UserError(f"{file}: each document needs apiVersion, kind, metadata and spec")
    return [d for d in documents if d["kind"] in KINDS]


def override(document: Document, setting: str) -> None:
    """Set a field by PATH=VALUE, such as spec.model.hyperparameters.epochs=3; VALUE is YAML."""
    path, equals, text = setting.partition("=")
    *parents, last = path.split(".")
    if not equals or not all([*parents, last]):
        raise UserError(f"--set {setting}: give PATH=VALUE, such as spec.model.hyperparameters.epochs=3")
    place: Any = document
    for name in parents:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise UserError(f"--set {setting}: {'.'.join(parents)} is no object that has fields")
    try:
        place[last] = yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"--set {setting}: {text!r} is not YAML") from error


def parse(document: Document, kind: type[_R]) -> _R:
    """The document as a resource; UserError names the field that is wrong, and what is allowed."""
    name = f"{kind.__name__} {name_of(document)}"
    if document.get("apiVersion") != API_VERSION:
        raise UserError(f"{name}: apiVersion is {document.get('apiVersion')!r}: give {API_VERSION}")
    body = {field: value for field, value in document.items() if field not in _ENVELOPE}
    try:
        for complaint in unknown_fields(body, inspect.type_info(kind), ""):
            raise UserError(f"{name}: {complaint}")
        resource = msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise UserError(f"{name}: {where.rstrip('`') or 'document'}: {what}") from error
    for complaint in broken_rules(body, inspect.type_info(kind), ""):
        raise UserError(f"{name}: {complaint}")
    return resource


def name_of(document: Document) -> str:
    """metadata.name, checked."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise UserError(
            f"metadata.name is {name!r}: give at most 52 lower-case letters, digits and '-', a letter first"
        )
    return name


def unknown_fields(value: Any, kind: inspect.Type, path: str) -> Iterator[str]:
    """A sentence for each field that the type does not have, with the nearest that it has."""
    kind = _plain(kind)
    if isinstance(kind, inspect.StructType) and isinstance(value, Mapping):
        known = [field.encode_name for field in kind.fields]
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                yield f"{_join(path, name)} is unknown: {hint}"
    for name, part, inner in _inside(value, kind):
        yield from unknown_fields(part, inner, _join(path, name))


def broken_rules(value: Any, kind: inspect.Type, path: str) -> Iterator[str]:
    """A sentence for each text that its field does not allow, by its list or its rule in the API."""
    schema = (kind.extra_json_schema or {}) if isinstance(kind, inspect.Metadata) else {}
    if value not in schema.get("enum", [value]):
        yield f"{path} is {value!r}: it must be one of {', '.join(schema['enum'])}"
    for rule in schema.get("x-kubernetes-validations", ()):
        pattern = _MATCHES.fullmatch(rule["rule"])
        if pattern and isinstance(value, str) and not re.search(pattern[1], value):
            yield f"{path} is {value!r}: it {rule['message']}"
    for name, part, inner in _inside(value, _plain(kind)):
        yield from broken_rules(part, inner, _join(path, name))


def _inside(value: Any, kind: inspect.Type) -> Iterator[tuple[str, Any, inspect.Type]]:
    """Name, value and type of what the value is made of."""
    match kind:
        case inspect.StructType(fields=fields) if isinstance(value, Mapping):
            for field in fields:
                if value.get(field.encode_name) is not None:
                    yield field.encode_name, value[field.encode_name], _annotated(field.type)
        case inspect.ListType(item_type=item) if isinstance(value, list):
            for index, part in enumerate(value):
                yield str(index), part, item


def _annotated(kind: inspect.Type) -> inspect.Type:
    """The type of an optional field without the None."""
    if isinstance(kind, inspect.UnionType):
        given = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        return given[0] if len(given) == 1 else kind
    return kind


def _plain(kind: inspect.Type) -> inspect.Type:
    while isinstance(kind, inspect.Metadata):
        kind = _annotated(kind.type)
    return kind


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)

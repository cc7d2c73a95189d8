"""The CustomResourceDefinitions, made from the types: `python -m vaka.api.crd FOLDER` writes them."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from vaka.api.inferenceservice import InferenceService
from vaka.api.trainingjob import TrainingJob
from vaka.api.types import GROUP, VERSION, Resource

JSON = dict[str, Any]

_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}


def schema(kind: inspect.Type) -> JSON:
    """Structural OpenAPI v3 schema of a type (Kubernetes: no $ref, no null, one type a node)."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return schema(inner) | (extra or {})
        case inspect.UnionType(types=types):
            return _union([t for t in types if not isinstance(t, inspect.NoneType)])
        case inspect.StructType():
            return _struct(kind)
        case inspect.ListType(item_type=item):
            return {"type": "array", "items": schema(item)}
        case inspect.DictType(value_type=value):
            return {"type": "object"} | ({} if isinstance(value, inspect.AnyType) else _values(value))
        case inspect.LiteralType(values=values):
            return {"type": "string", "enum": list(values)}
        case inspect.AnyType():
            return {"x-kubernetes-preserve-unknown-fields": True}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType():
            return {"type": "integer", "format": "int64"} | _bounds(kind)
        case inspect.FloatType():
            return {"type": "number"} | _bounds(kind)
        case inspect.StrType():
            return {"type": "string"} | _bounds(kind)
    raise TypeError(f"{kind} has no schema in Kubernetes")


def _values(value: inspect.Type) -> JSON:
    return {"additionalProperties": schema(value)}


def _union(types: list[inspect.Type]) -> JSON:
    if {type(t) for t in types} == {inspect.StrType, inspect.IntType}:
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    if len(types) != 1:
        raise TypeError(f"a union of {types} has no structural schema")
    return schema(types[0])


def _bounds(kind: inspect.IntType | inspect.FloatType | inspect.StrType) -> JSON:
    bounds = {word: getattr(kind, name, None) for name, word in _BOUNDS.items()}
    if getattr(kind, "gt", None) is not None:
        bounds |= {"minimum": kind.gt, "exclusiveMinimum": True}  # type: ignore[union-attr]
    return {word: bound for word, bound in bounds.items() if bound is not None}


def _struct(kind: inspect.StructType) -> JSON:
    properties = {f.encode_name: _field(f) for f in kind.fields}
    required = [f.encode_name for f in kind.fields if f.required]
    result: JSON = {"type": "object", "properties": properties}
    if required:
        result["required"] = required
    if rules := getattr(kind.cls, "rules", ()):
        result["x-kubernetes-validations"] = [r._asdict() for r in rules]
    return result


def _field(field: inspect.Field) -> JSON:
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory not in (msgspec.NODEFAULT, list, dict):
        default = field.default_factory()
    if isinstance(default, Resource):
        default = {}  # the API server fills in the defaults inside
    has_default = default is not msgspec.NODEFAULT and default is not None
    return schema(field.type) | ({"default": default} if has_default else {})


def _column(name: str, path: str, kind: str = "string", **more: Any) -> JSON:
    return {"name": name, "type": kind, "jsonPath": path} | more


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_COLUMNS: dict[str, list[JSON]] = {
    "TrainingJob": [
        _column("Arch", ".spec.model.architecture"),
        _column("State", ".status.state"),
        _column("Progress", ".status.progress"),
        _column("ETA", ".status.eta"),
        _column("Metric", ".status.metric"),
        _column("Model", ".status.model.uri"),
        _AGE,
        _column("Message", ".status.conditions[?(@.type=='Running')].message", priority=1),
    ],
    "InferenceService": [
        _column("URL", ".status.url"),
        _column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        _column("State", ".status.state"),
        _column("Replicas", ".status.replicas.ready", "integer"),
        _column("Canary", ".status.canary.trafficPercent", "integer"),
        _column("Model", ".status.modelStatus.uri", priority=1),
        _AGE,
        _column("Message", ".status.conditions[?(@.type=='Ready')].message", priority=1),
    ],
}


def definition(cls: type[Resource], *, short: str) -> JSON:
    """The CustomResourceDefinition of one resource type."""
    kind = cls.__name__
    plural = kind.lower() + "s"
    names = {"kind": kind, "listKind": f"{kind}List", "singular": kind.lower(), "plural": plural}
    version: JSON = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _COLUMNS[kind],
        "schema": {"openAPIV3Schema": {"description": (cls.__doc__ or kind).strip()} | _root(cls)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names | {"shortNames": [short], "categories": ["vaka"]},
            "versions": [version],
        },
    }


def _root(cls: type[Resource]) -> JSON:
    root = schema(inspect.type_info(cls))
    envelope = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    return root | {"properties": envelope | root["properties"]}


DEFINITIONS = {
    "trainingjobs.yaml": definition(TrainingJob, short="tj"),
    "inferenceservices.yaml": definition(InferenceService, short="isvc"),
}


def write(folder: Path) -> None:
    """Write each definition as YAML into the folder."""
    for name, content in DEFINITIONS.items():
        # Through JSON, so that equal parts stand written out instead of as YAML anchors.
        plain = msgspec.json.decode(msgspec.json.encode(content))
        (folder / name).write_text(yaml.safe_dump(plain, sort_keys=False, width=110))


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""Building blocks of the resources: the base type, CEL rules, and Kubernetes' own small types."""

import math
from decimal import Decimal
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
from msgspec import Meta

GROUP = "vaka.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Rule(NamedTuple):
    """A CEL rule (x-kubernetes-validations) that the API server checks."""

    rule: str
    message: str


class Resource(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """Base of everything that stands in YAML: camelCase there, snake_case here."""

    rules: ClassVar[tuple[Rule, ...]] = ()


def said(description: str, *rules: Rule, **schema: Any) -> Meta:
    """What `kubectl explain` says of a field, with the rules and schema keywords that hold for it."""
    if rules:
        schema["x-kubernetes-validations"] = [r._asdict() for r in rules]
    return Meta(description=description, extra_json_schema=schema or None)


# Kubernetes' own pattern for resource.Quantity, without the signs: no quantity here may be negative.
QUANTITY = r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[mkMGTPE]|[eE][0-9]+)?$"
Quantity = Annotated[
    str | int,
    Meta(extra_json_schema={"x-kubernetes-int-or-string": True, "pattern": QUANTITY}),
]
_SUFFIXES = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)} | {
    letter + binary: Decimal(1024 if binary else 1000) ** power
    for binary in ("", "i")
    for power, letter in enumerate("KMGTPE", start=1)
}


def amount(quantity: str | int) -> int:
    """What a quantity that the API server has let through comes to, such as bytes; rounded up."""
    text = str(quantity)
    number = text.rstrip("".join(_SUFFIXES))
    factor = _SUFFIXES[text.removeprefix(number)]
    return math.ceil(Decimal(number) * factor)


Opaque = Annotated[dict[str, Any], Meta(extra_json_schema={"x-kubernetes-preserve-unknown-fields": True})]


class SecretRef(Resource, frozen=True):
    name: Annotated[str, said("Name of a Secret in the same namespace.", minLength=1)]


class EnvVar(Resource, frozen=True):
    name: Annotated[str, said("Name of the variable.", minLength=1)]
    value: Annotated[str, said("Its value.")] | None = None
    value_from: Annotated[Opaque, said("A source for its value, as in a Pod.")] | None = None


class Resources(Resource, frozen=True):
    requests: Annotated[dict[str, Quantity], said("What is reserved, as in a Pod.")] | None = None
    limits: Annotated[dict[str, Quantity], said("What may be used at most, as in a Pod.")] | None = None


class Toleration(Resource, frozen=True):
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class Condition(Resource, frozen=True):
    """metav1.Condition."""

    type: str
    status: Annotated[str, said("True, False or Unknown.", enum=["True", "False", "Unknown"])]
    reason: str
    message: str
    last_transition_time: Annotated[
        str, said("When status changed last (RFC 3339, UTC).", format="date-time")
    ]
    observed_generation: int | None = None


class Metric(Resource, frozen=True):
    name: str
    value: Annotated[str, said("The value in decimal, as a string, for no float survives every client.")]


CONDITIONS = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}

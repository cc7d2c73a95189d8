"""What all objects that we make have in common: owner, labels, and a fingerprint that shows drift."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from vaka.api.contract import LABEL_JOB, LABEL_SERVICE
from vaka.api.types import API_VERSION

JSON = dict[str, Any]

MANAGER = "vaka-operator"
MANAGED_BY = "app.kubernetes.io/managed-by"
FINGERPRINT = "vaka.dev/fingerprint"
"""Annotation: digest of the manifest that we applied. It differs where a field was taken out again."""
OWNER = "vaka.dev/owner-uid"
"""Annotation of pods: the resource that they are made for, even where another had its name before."""

COMPONENT = "app.kubernetes.io/component"

_LABELS = {"TrainingJob": (LABEL_JOB, "trainer"), "InferenceService": (LABEL_SERVICE, "predictor")}


class Owner(msgspec.Struct, kw_only=True, frozen=True):
    """The resource that an object is made for, and the part of it that the object belongs to."""

    kind: str
    namespace: str
    name: str
    uid: str
    part: str = ""

    @property
    def component(self) -> str:
        return self.part or _LABELS[self.kind][1]

    def of(self, part: str) -> "Owner":
        """The same resource, for another part of it."""
        return msgspec.structs.replace(self, part=part)

    @property
    def selector(self) -> dict[str, str]:
        """The label by which all its objects are found."""
        return {_LABELS[self.kind][0]: self.name}

    @property
    def pods(self) -> dict[str, str]:
        """The labels by which the pods of this part are found, and no others."""
        return self.selector | {COMPONENT: self.component}

    @property
    def part_name(self) -> str:
        """The name of what there is once for each part."""
        return f"{self.name}-{self.component}"

    @property
    def labels(self) -> dict[str, str]:
        component = self.component
        return self.selector | {
            "app.kubernetes.io/name": f"vaka-{component}",
            "app.kubernetes.io/instance": self.name,
            COMPONENT: component,
            "app.kubernetes.io/part-of": "vaka",
            MANAGED_BY: MANAGER,
        }

    @property
    def reference(self) -> JSON:
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def owner_of(resource: JSON) -> Owner:
    meta = resource["metadata"]
    return Owner(kind=resource["kind"], namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])


def child(owner: Owner, *, api_version: str, kind: str, name: str, spec: JSON, content: str = "spec") -> JSON:
    """An object that belongs to `owner` and goes with it; `content` is where its kind has the spec."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": owner.labels,
            "annotations": {FINGERPRINT: fingerprint(spec)},
            "ownerReferences": [owner.reference],
        },
        content: spec,
    }


def fingerprint(spec: JSON) -> str:
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:16]


def holds(live: object, desired: object) -> bool:
    """Whether a live object has all that is desired of it; what others or defaults added may differ.

    A quantity that the API server writes in another way (1000m for 1) counts as different: applying it
    once more changes nothing.
    """
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(k in live and holds(live[k], v) for k, v in desired.items())
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(live) == len(desired)
            and all(holds(a, b) for a, b in zip(live, desired, strict=True))
        )
    return live == desired

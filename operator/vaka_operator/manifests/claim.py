"""The claim that a TrainingJob publishes to where it names no other place."""

from vaka.api.types import Quantity
from vaka_operator.manifests.meta import JSON, Owner, child


def usual_name(owner: Owner) -> str:
    return f"{owner.name}-model"


def name_of_its_own(owner: Owner) -> str:
    """For a run whose usual claim is not to be had, as while a former one is still served from."""
    return f"{owner.name}-model-{owner.uid[:8]}"


def claim(owner: Owner, *, name: str, size: Quantity) -> JSON:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(size)}},
    }
    return child(owner, api_version="v1", kind="PersistentVolumeClaim", name=name, spec=spec)

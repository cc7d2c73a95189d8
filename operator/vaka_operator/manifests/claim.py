"""The claims that are made: for the model of a TrainingJob that names no other place, and for caches."""

from vaka.api.servedmodel import ModelCache
from vaka.api.types import Quantity
from vaka_operator.manifests.meta import JSON, Owner, child


def usual_name(owner: Owner) -> str:
    return f"{owner.name}-model"


def name_of_its_own(owner: Owner) -> str:
    """For a run whose usual claim is not to be had, as while a former one is still served from."""
    return f"{owner.name}-model-{owner.uid[:8]}"


def cache_name(owner: Owner) -> str:
    """Another one for each part, so that what one asks for is no matter of the others."""
    suffix = "" if owner.component == "predictor" else f"-{owner.component}"
    return f"{owner.name}-model-cache{suffix}"


def cache_claim(owner: Owner, cache: ModelCache) -> JSON | None:
    """The claim of the part's own cache; None where one that there is is named."""
    if cache.size is None:
        return None
    given = {"storageClassName": cache.storage_class_name} if cache.storage_class_name else {}
    return claim(owner, name=cache_name(owner), size=cache.size, mode=cache.access_mode, **given)


def claim(owner: Owner, *, name: str, size: Quantity, mode: str = "ReadWriteOnce", **more: str) -> JSON:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": str(size)}}, **more}
    return child(owner, api_version="v1", kind="PersistentVolumeClaim", name=name, spec=spec)

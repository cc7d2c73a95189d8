"""Storage URIs in a cluster: what has to be mounted so that a container reads or writes plain paths."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from vaka.api.contract import (
    CACHE_MOUNT,
    DATASET_MOUNT,
    DATASETS_IN_IMAGE,
    MODEL_MOUNT,
    OUTPUT_MOUNT,
    PACKAGED_DATASETS,
)
from vaka.api.trainingjob import TrainingJobSpec
from vaka.api.types import SecretRef
from vaka_operator.manifests.meta import JSON, Owner

CHECKPOINT_MOUNT = "/mnt/vaka/checkpoint"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A storage URI as a container sees it."""

    uri: str
    volume: JSON | None = None
    volume_mount: JSON | None = None
    packaged: str | None = None
    """Name of the packaged data set that has to be copied into the volume first."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a run reads, publishes and saves; the public names are those that people know."""

    data: Mount
    output: Mount
    checkpoint: Mount
    public_output: str
    public_checkpoint: str

    @property
    def mounts(self) -> list[Mount]:
        return [mount for mount in (self.data, self.output, self.checkpoint) if mount.volume]


def places(owner: Owner, spec: TrainingJobSpec, *, claim_name: str) -> Places:
    """The places of a TrainingJob; ValueError for a URI that has no meaning in a cluster.

    Args:
        claim_name: of the claim that is made where spec.output names no place.
    """
    published = model_folder(spec.output.storage_uri or f"pvc://{claim_name}", name=owner.name)
    saved = _checkpoints(spec.checkpoint.storage_uri, published=published, uid=owner.uid)
    return Places(
        data=dataset(spec.dataset.storage_uri),
        output=output(published),
        checkpoint=_beside(saved, published=published),
        public_output=published,
        public_checkpoint=saved,
    )


def _checkpoints(given: str | None, *, published: str, uid: str) -> str:
    """A folder of this very job, so that one created anew under its name never continues it."""
    if given:
        return f"{given.rstrip('/')}/{uid}"
    if claim := _claim(published):
        return f"pvc://{claim}/.checkpoints/{uid}"
    return f"{published.rstrip('/')}.checkpoints/{uid}"


def _beside(uri: str, *, published: str) -> Mount:
    """What is on the claim of the model needs no mount of its own."""
    field = "spec.checkpoint.storageUri"
    if _claim(uri) is None or _claim(uri) != _claim(published):
        return _mount(uri, field=field, volume="checkpoint", path=CHECKPOINT_MOUNT, writes=True)
    return Mount(uri=_mount(uri, field=field, volume="output", path=OUTPUT_MOUNT, writes=True).uri)


def _claim(uri: str) -> str | None:
    return uri.removeprefix("pvc://").partition("/")[0] if uri.startswith("pvc://") else None


def dataset(uri: str) -> Mount:
    """Where the trainer reads its data; ValueError for a URI that has no meaning in a cluster."""
    name = uri.removeprefix("pkg://")
    if name == uri:
        return _mount(
            uri, field="spec.dataset.storageUri", volume="dataset", path=DATASET_MOUNT, writes=False
        )
    if name not in PACKAGED_DATASETS:
        near = difflib.get_close_matches(name, PACKAGED_DATASETS, n=1, cutoff=0.5)
        hint = f"did you mean pkg://{near[0]}?" if near else f"known are {', '.join(PACKAGED_DATASETS)}"
        raise ValueError(f"spec.dataset.storageUri is {uri}: there is no such packaged data set: {hint}")
    return Mount(
        uri=f"file://{DATASET_MOUNT}",
        volume={"name": "dataset", "emptyDir": {}},
        volume_mount={"name": "dataset", "mountPath": DATASET_MOUNT, "readOnly": True},
        packaged=f"{DATASETS_IN_IMAGE}/{name}",
    )


def output(uri: str) -> Mount:
    """Where the trainer publishes."""
    return _mount(uri, field="spec.output.storageUri", volume="output", path=OUTPUT_MOUNT, writes=True)


def models(uri: str, versions: Mapping[str, str], *, field: str) -> list[Mount]:
    """Where the server reads its model, and then its further versions; each claim is mounted once.

    Args:
        field: where the spec has the model.
    """
    found: list[Mount] = []
    claims: list[str] = []
    for name, given in [("", uri), *versions.items()]:
        claim = _claim(given)
        is_new = claim is not None and claim not in claims
        claims += [claim] if claim and is_new else []
        number = claims.index(claim) if claim else 0
        suffix = f"-{number}" if number else ""
        where = f"{field}.versions[{name}].storageUri" if name else f"{field}.storageUri"
        mount = _mount(
            given, field=where, volume=f"model{suffix}", path=f"{MODEL_MOUNT}{suffix}", writes=False
        )
        found.append(mount if is_new else Mount(uri=mount.uri))
    return found


def is_claim(uri: str) -> bool:
    return _claim(uri) is not None


def cache(claim: str) -> Mount:
    """Where servers keep the models that they have downloaded."""
    return _mount(f"pvc://{claim}/", field="", volume="cache", path=CACHE_MOUNT, writes=True)


def secrets(*refs: SecretRef | None) -> list[str]:
    """Names of the Secrets, each once."""
    return list(dict.fromkeys(ref.name for ref in refs if ref))


def model_folder(uri: str, *, name: str) -> str:
    """The model folder that `uri` means: in a claim it has a folder of its own, by default `name`."""
    if not uri.startswith("pvc://"):
        return uri
    claim, _, path = uri.removeprefix("pvc://").partition("/")
    return f"pvc://{claim}/{path.strip('/') or name}"


def _mount(uri: str, *, field: str, volume: str, path: str, writes: bool) -> Mount:
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        raise ValueError(
            f"{field} is {uri}: a pod has no files of your machine: put them on a claim and give "
            "pvc://CLAIM/PATH, or on S3 and give s3://BUCKET/PREFIX"
        )
    if scheme != "pvc":
        return Mount(uri=uri)
    claim, _, inside = rest.partition("/")
    if ".." in unquote(inside).split("/"):
        raise ValueError(f"{field} is {uri}: its path must not contain ..")
    return Mount(
        uri=f"file://{path}/{inside}".rstrip("/"),
        volume={"name": volume, "persistentVolumeClaim": {"claimName": claim}},
        volume_mount={"name": volume, "mountPath": path} | ({} if writes else {"readOnly": True}),
    )

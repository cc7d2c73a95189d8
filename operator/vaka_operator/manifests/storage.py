"""Storage URIs in a cluster: what has to be mounted so that a container reads or writes plain paths."""

import difflib
from dataclasses import dataclass
from urllib.parse import unquote

from vaka.api.contract import (
    DATASET_MOUNT,
    DATASETS_IN_IMAGE,
    MODEL_MOUNT,
    OUTPUT_MOUNT,
    PACKAGED_DATASETS,
)
from vaka.api.types import SecretRef
from vaka_operator.manifests.meta import JSON


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A storage URI as a container sees it."""

    uri: str
    volume: JSON | None = None
    volume_mount: JSON | None = None
    packaged: str | None = None
    """Name of the packaged data set that has to be copied into the volume first."""


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


def model(uri: str) -> Mount:
    """Where the server reads its model."""
    field = "spec.predictor.model.storageUri"
    return _mount(uri, field=field, volume="model", path=MODEL_MOUNT, writes=False)


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

"""The environment of a trainer pod: what torchrun reads by itself, and where everything is."""

import msgspec

from vaka.api.contract import RUN_ENV
from vaka.api.run import Run
from vaka.api.trainingjob import TrainerSpec, TrainingJobSpec
from vaka_operator.manifests.meta import JSON, Owner
from vaka_operator.manifests.storage import Places

RENDEZVOUS_PORT = 29400
INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation of a pod of an Indexed Job: its number."""


def trainer_environment(owner: Owner, spec: TrainingJobSpec, places: Places, *, service: str) -> list[JSON]:
    """The variables of each trainer pod, whichever image it runs.

    Args:
        service: name of the headless Service by which the pods find each other.
    """
    given = {
        **_rendezvous(owner, spec.trainer, service=service),
        RUN_ENV: _run(owner, spec, places),
        "VAKA_HYPERPARAMETERS": msgspec.json.encode(spec.model.hyperparameters, order="sorted").decode(),
        "VAKA_DATASET": _path(places.data.uri),
        "VAKA_OUTPUT": _path(places.output.uri),
        "VAKA_CHECKPOINT": _path(places.checkpoint.uri),
    }
    return [*({"name": name, "value": value} for name, value in given.items()), *_rank(spec.trainer)]


def _rendezvous(owner: Owner, trainer: TrainerSpec, *, service: str) -> dict[str, str]:
    nodes = str(trainer.num_nodes)
    return {
        "PET_NNODES": f"{trainer.required_nodes}:{nodes}" if trainer.elastic else nodes,
        "PET_NPROC_PER_NODE": str(trainer.num_proc_per_node),
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ID": owner.uid,
        "PET_RDZV_ENDPOINT": f"{owner.name}-0.{service}:{RENDEZVOUS_PORT}",
    }


def _rank(trainer: TrainerSpec) -> list[JSON]:
    """Where nodes come and go, torchrun itself gives the ranks."""
    index = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{INDEX}']"}}
    return [] if trainer.elastic else [{"name": "PET_NODE_RANK", "valueFrom": index}]


def _path(uri: str) -> str:
    """A plain path where it is a folder of the pod, else the URI."""
    return uri.removeprefix("file://")


def _run(owner: Owner, spec: TrainingJobSpec, places: Places) -> str:
    replace = msgspec.structs.replace
    inside = TrainingJobSpec(  # without what can be changed later: the pod has no need to know it
        model=spec.model,
        trainer=spec.trainer,
        dataset=replace(spec.dataset, storage_uri=places.data.uri),
        output=replace(spec.output, storage_uri=places.output.uri),
        checkpoint=replace(spec.checkpoint, storage_uri=places.checkpoint.uri),
    )
    run = Run(
        name=owner.name,
        namespace=owner.namespace,
        uid=owner.uid,
        spec=inside,
        public_output=places.public_output,
        public_checkpoint=places.public_checkpoint,
    )
    return msgspec.json.encode(run, order="deterministic").decode()

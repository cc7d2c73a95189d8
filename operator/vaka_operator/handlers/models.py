"""Which models a service serves: what its references to TrainingJobs come to, and what stays pinned.

What was found is written into the status before anything is made of it: so a pinned model stays the one
that it was, whatever becomes of its job and wherever the operator is killed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vaka.api.contract import LABEL_SEARCH
from vaka.api.inferenceservice import InferenceService
from vaka.api.reasons import Reason
from vaka.api.servedmodel import PredictorModel, ResolvedModel, ServedModel, TrainingJobRef
from vaka.api.trainingjob import TrainingJob
from vaka_operator.cluster import Cluster
from vaka_operator.handlers.children import Obstacle
from vaka_operator.manifests.meta import JSON, Owner, owner_of
from vaka_operator.manifests.models import Model, Supply
from vaka_operator.manifests.storage import model_folder
from vaka_operator.status.conditions import Finding, is_true


def references(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every trainingJobRef of a spec, wherever it stands."""
    for field, value in spec.items():
        if field == "trainingJobRef":
            yield value
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                yield from references(part)


class Known:
    """What the references of a service came to: written into its status before anything is made of it, for
    only so what is pinned is pinned for sure.

    A canary that moves to spec.predictor brings what it was pinned to: that is what it was tried with.
    """

    def __init__(self, cluster: Cluster, resource: JSON, service: InferenceService) -> None:
        self.resource = resource
        self.owner = owner_of(resource)
        self._cluster = cluster
        self._parts = {"predictor", "canary"} if service.spec.canary else {"predictor"}
        self.models = service.status.models if service.status else []

    async def supply(self, part: str, given: PredictorModel) -> Supply:
        """What a part is to serve; Obstacle while one of its models has not been published."""
        before = [*self.models, *(_promoted(model) for model in self.models if _part(model) == "canary")]
        supply, resolved = await supply_of(self._cluster, self.owner, part, given, before=before)
        models = [model for model in self.models if _part(model) in self._parts - {part}] + resolved
        models.sort(key=lambda model: (_part(model) != "predictor", model.name))
        if models != self.models:
            status = self.resource.get("status", {}) | {"models": msgspec.to_builtins(models)}
            self.resource = await self._cluster.write_status(self.resource, status)
            self.models = models
        return supply

    def digests(self, part: str) -> list[str]:
        """Of the models that the part's references came to."""
        return [model.digest for model in self.models if _part(model) == part]


def _promoted(model: ResolvedModel) -> ResolvedModel:
    """The canary's model as it would be the predictor's."""
    return msgspec.structs.replace(model, name=f"predictor{model.name.removeprefix('canary')}")


def _part(model: ResolvedModel) -> str:
    return model.name.partition("/")[0]


async def supply_of(
    cluster: Cluster, owner: Owner, name: str, given: PredictorModel, *, before: Sequence[ResolvedModel]
) -> tuple[Supply, list[ResolvedModel]]:
    """What a predictor is to serve, and what its references came to.

    Obstacle while one of its models has not been published.

    Args:
        name: of the predictor in the service's status.
        before: what the status holds.
    """
    secret = given.secret_ref.name if given.secret_ref else None
    resolved: list[ResolvedModel] = []

    async def model(name: str, given: ServedModel) -> Model:
        if given.training_job_ref is None:
            uri = model_folder(given.storage_uri or "", name=owner.name)
            return Model(uri=uri, digest=given.digest, secret=secret)
        found = await _resolve(cluster, owner, name, given.training_job_ref, before=before)
        resolved.append(found)
        return Model(uri=found.uri, digest=found.digest, secret=secret or found.secret_name)

    main = await model(name, given)
    versions = {version.name: await model(f"{name}/{version.name}", version) for version in given.versions}
    supply = Supply(
        model=main, versions=versions, precision=given.precision, engine=given.engine, cache=given.cache
    )
    return supply, resolved


async def _resolve(
    cluster: Cluster, owner: Owner, name: str, ref: TrainingJobRef, *, before: Sequence[ResolvedModel]
) -> ResolvedModel:
    """The model that the reference means now; Obstacle while there has been none."""
    former = next((m for m in before if (m.name, m.ref) == (name, ref.meant)), None)
    if former and not ref.follow:
        return msgspec.structs.replace(former, pinned=True)
    try:
        job = await _job(cluster, owner.namespace, ref)
    except Obstacle:
        if former:  # what was published once is served until there is something newer
            return msgspec.structs.replace(former, pinned=False)
        raise
    return _resolved(name, ref, job)


def _resolved(name: str, ref: TrainingJobRef, found: JSON) -> ResolvedModel:
    job = msgspec.convert(found, TrainingJob)
    assert job.status is not None
    assert job.status.model is not None
    secret = job.spec.output.secret_ref
    return ResolvedModel(
        name=name,
        training_job=found["metadata"]["name"],
        uri=job.status.model.uri,
        digest=job.status.model.digest,
        pinned=not ref.follow,
        ref=ref.meant,
        secret_name=secret.name if secret else None,
    )


async def _job(cluster: Cluster, namespace: str, ref: TrainingJobRef) -> JSON:
    """The job whose model is meant; Obstacle where none has one."""
    if ref.name is not None:
        found = await cluster.get("TrainingJob", namespace, ref.name)
        jobs = [found] if found else []
    else:
        labels = ref.selector.match_labels if ref.selector else {}
        some = await cluster.select("TrainingJob", namespace, labels=labels)
        jobs = [job for job in some if LABEL_SEARCH not in job["metadata"].get("labels", {})]
    if not jobs:
        raise Obstacle(_missing(ref))
    published = [job for job in jobs if job.get("status", {}).get("model")]
    if not published:
        raise Obstacle(_unpublished(max(jobs, key=_age)))
    return max(published, key=_age)


def _age(job: JSON) -> tuple[str, str, str]:
    """Greatest for the newest."""
    meta = job["metadata"]
    return meta["creationTimestamp"], job.get("status", {}).get("completionTime", ""), meta["name"]


def _missing(ref: TrainingJobRef) -> Finding:
    if ref.name is not None:
        told = f"there is no {ref.meant} in this namespace: create it, or correct its name"
    else:
        told = f"there are no {ref.meant} in this namespace: create one, or correct the labels"
    return Finding(Reason.TRAINING_JOB_NOT_FOUND, told)


def _unpublished(found: JSON) -> Finding:
    name, status = found["metadata"]["name"], msgspec.convert(found, TrainingJob).status
    if status and is_true(status.conditions, "Failed"):
        why = status.failure.message if status.failure else "it says not why"
        told = f"TrainingJob {name} failed: {why}"
        return Finding(Reason.TRAINING_JOB_FAILED, f"{told}: correct it, delete it and create it anew")
    if status and is_true(status.conditions, "Complete"):
        told = f"TrainingJob {name} is complete and reported no model: give its storageUri instead"
        return Finding(Reason.WAITING_FOR_TRAINING_JOB, told)
    state = (status and status.state) or "new"
    return Finding(Reason.WAITING_FOR_TRAINING_JOB, f"TrainingJob {name} has no model yet: it is {state}")

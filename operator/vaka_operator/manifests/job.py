"""The Indexed Job whose pod trains."""

import msgspec

from vaka.api import hyperparameters
from vaka.api.contract import PERMANENT_EXITS, REPORT_PORT, RUN_ENV, Run
from vaka.api.trainingjob import TrainingJobSpec
from vaka_operator.config import Config
from vaka_operator.manifests import pod, storage
from vaka_operator.manifests.claim import claim
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.manifests.networkpolicy import network_policy

TRAINER = "trainer"
REQUESTS = {"cpu": "500m", "memory": "1Gi"}


class Training(msgspec.Struct, kw_only=True, frozen=True):
    """All that a TrainingJob needs."""

    job: JSON
    others: list[JSON]
    """What has to be there before the job."""


def training(owner: Owner, spec: TrainingJobSpec, config: Config, *, claim_name: str) -> Training:
    """The objects of a TrainingJob; ValueError says which field of the spec is wrong and what is allowed.

    Args:
        claim_name: of the claim that is made where spec.output names no place.
    """
    hyperparameters.parse(spec.model.architecture, spec.model.hyperparameters)
    published = storage.model_folder(spec.output.storage_uri or f"pvc://{claim_name}", name=owner.name)
    data, output = storage.dataset(spec.dataset.storage_uri), storage.output(published)
    policy = network_policy(owner, name=f"{owner.name}-{TRAINER}", port=REPORT_PORT)
    claims = [] if spec.output.storage_uri else [claim(owner, name=claim_name, size=spec.output.size)]
    fixed = {
        "completionMode": "Indexed",
        "completions": 1,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules()},
        "template": _template(owner, spec, config, data=data, output=output, published=published),
    }
    job = child(owner, api_version="batch/v1", kind="Job", name=owner.name, spec=fixed)
    return Training(
        job=job | {"spec": fixed | {k: v for k, v in changeable(spec).items() if v is not None}},
        others=[policy, *claims],
    )


def changeable(spec: TrainingJobSpec) -> JSON:
    """What may be changed in a Job that exists (None: not given); it does not count for the fingerprint."""
    return {
        "parallelism": 1,
        "suspend": spec.suspend,
        "backoffLimit": spec.backoff_limit,
        "activeDeadlineSeconds": spec.active_deadline_seconds,
    }


def public_output(job: JSON) -> str:
    """The URI by which people know what this Job publishes."""
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    (run,) = (variable["value"] for variable in env if variable["name"] == RUN_ENV)
    return msgspec.json.decode(run, type=Run).public_output


def _failure_rules() -> list[JSON]:
    permanent = {"containerName": TRAINER, "operator": "In", "values": list(PERMANENT_EXITS)}
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return [
        {"action": "FailJob", "onExitCodes": permanent},
        {"action": "Ignore", "onPodConditions": [disrupted]},
    ]


def _template(
    owner: Owner,
    spec: TrainingJobSpec,
    config: Config,
    *,
    data: storage.Mount,
    output: storage.Mount,
    published: str,
) -> JSON:
    run = {"name": RUN_ENV, "value": _run(owner, spec, data=data, output=output, published=published)}
    container = pod.Container(
        name=TRAINER,
        image=spec.trainer.image or config.trainer_image,
        pull_policy=config.image_pull_policy,
        command=["python", "-m", "vaka.training"],
        env=pod.environment([run], spec.trainer, field="spec.trainer.env"),
        secrets=_secrets(spec),
        port=REPORT_PORT,
        port_name="report",
        mounts=[mount.volume_mount for mount in (data, output) if mount.volume_mount],
        resources=pod.resources(spec.trainer.resources_per_node, requests=REQUESTS),
    )
    return pod.template(
        container,
        owner=owner,
        annotations={},
        volumes=[mount.volume for mount in (data, output) if mount.volume],
        placement=spec.trainer,
        init=_copier(data, config),
        restartPolicy="Never",
    )


def _copier(data: storage.Mount, config: Config) -> list[JSON]:
    if data.packaged is None or data.volume_mount is None:
        return []
    image, policy = config.datasets_image, config.image_pull_policy
    return [pod.copier(image=image, pull_policy=policy, source=data.packaged, mount=data.volume_mount)]


def _secrets(spec: TrainingJobSpec) -> list[str]:
    names = storage.secrets(spec.dataset.secret_ref, spec.output.secret_ref)
    if len(names) > 1:
        raise ValueError(
            f"spec.dataset.secretRef is {names[0]} and spec.output.secretRef is {names[1]}: a trainer has "
            "one set of storage credentials: give one Secret that may do both"
        )
    return names


def _run(
    owner: Owner, spec: TrainingJobSpec, *, data: storage.Mount, output: storage.Mount, published: str
) -> str:
    inside = TrainingJobSpec(  # without what can be changed later: the pod has no need to know it
        model=spec.model,
        trainer=spec.trainer,
        dataset=msgspec.structs.replace(spec.dataset, storage_uri=data.uri),
        output=msgspec.structs.replace(spec.output, storage_uri=output.uri),
    )
    run = Run(name=owner.name, namespace=owner.namespace, uid=owner.uid, spec=inside, public_output=published)
    return msgspec.json.encode(run, order="deterministic").decode()

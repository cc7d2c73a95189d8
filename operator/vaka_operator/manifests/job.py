"""The Indexed Job whose pods train."""

import msgspec

from vaka.api.contract import FREE_EXITS, PERMANENT_EXITS, REPORT_PORT, RUN_ENV
from vaka.api.run import Run
from vaka.api.trainingjob import CUSTOM, TrainingJobSpec, settings
from vaka_operator.config import Config
from vaka_operator.manifests import pod, storage
from vaka_operator.manifests.claim import claim
from vaka_operator.manifests.environment import RENDEZVOUS_PORT, trainer_environment
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.manifests.networkpolicy import network_policy
from vaka_operator.manifests.service import headless

TRAINER = "trainer"
REQUESTS = {"cpu": "500m", "memory": "1Gi"}
GRACE_S = 60
"""What a pod that is stopped has to write a checkpoint."""
MARGIN = 10
"""Attempts that a Job may fail more than its spec says: kills that nobody has seen yet do not end it."""
GANG = "vaka.dev/gang"
"""Scheduling gate of pods that train together, until enough of them are there."""
QUEUE = "kueue.x-k8s.io/queue-name"
"""Label by which Kueue takes a Job into a queue."""


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
    if spec.model.architecture != CUSTOM:
        settings(spec)
    name = f"{owner.name}-{TRAINER}"
    places = storage.places(owner, spec, claim_name=claim_name)
    claims = [] if spec.output.storage_uri else [claim(owner, name=claim_name, size=spec.output.size)]
    return Training(
        job=_job(owner, spec, _template(owner, spec, config, places, service=name)),
        others=[
            network_policy(owner, name=name, ports=[REPORT_PORT], among_themselves=True),
            headless(owner, name=name, port=RENDEZVOUS_PORT),
            *claims,
        ],
    )


def changeable(spec: TrainingJobSpec) -> JSON:
    """What may be changed in a Job that exists (None: not given); it does not count for the fingerprint.

    In a queue, Kueue alone decides whether the Job is suspended.
    """
    ours = {} if spec.queue_name else {"suspend": spec.suspend}
    return ours | {
        "parallelism": spec.trainer.num_nodes,
        "backoffLimit": backoff_limit(spec),
        "activeDeadlineSeconds": spec.active_deadline_seconds,
    }


def allowed_failures(spec: TrainingJobSpec) -> int:
    """How many pods may fail and count: an attempt that fails may take every pod with it."""
    return spec.backoff_limit * spec.trainer.num_nodes


def backoff_limit(spec: TrainingJobSpec, *, forgiven: int = 0, failed: int = 0) -> int:
    """After how many pods that failed the Job gives up; it has no margin left where too many count.

    Args:
        forgiven: pods that failed and do not count.
        failed: pods that failed, with those that do not count.
    """
    exact = forgiven + allowed_failures(spec)
    return exact if failed > exact else exact + MARGIN * spec.trainer.num_nodes


def public_output(job: JSON) -> str:
    """The URI by which people know what this Job publishes."""
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    (run,) = (variable["value"] for variable in env if variable["name"] == RUN_ENV)
    return msgspec.json.decode(run, type=Run).public_output


def _job(owner: Owner, spec: TrainingJobSpec, template: JSON) -> JSON:
    nodes = spec.trainer.num_nodes
    fixed = {
        "completionMode": "Indexed",
        "completions": nodes,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules(spec)},
        # They train one model together: when the first has published it, there is nothing left to do.
        **({"successPolicy": {"rules": [{"succeededCount": 1}]}} if nodes > 1 else {}),
        "template": template,
    }
    job = child(owner, api_version="batch/v1", kind="Job", name=owner.name, spec=fixed)
    changing = {name: value for name, value in changeable(spec).items() if value is not None}
    if spec.queue_name:
        job["metadata"]["labels"] |= {QUEUE: spec.queue_name}
        changing["suspend"] = True
    return job | {"spec": fixed | changing}


def _failure_rules(spec: TrainingJobSpec) -> list[JSON]:
    def exits(*codes: int) -> JSON:
        return {"onExitCodes": {"containerName": TRAINER, "operator": "In", "values": sorted(codes)}}

    disrupted = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return [
        *(spec.failure_policy.rules_ if spec.failure_policy else []),
        {"action": "FailJob", **exits(*PERMANENT_EXITS)},
        {"action": "Ignore", **disrupted},
        {"action": "Ignore", **exits(*FREE_EXITS)},
    ]


def _template(
    owner: Owner, spec: TrainingJobSpec, config: Config, places: storage.Places, *, service: str
) -> JSON:
    trainer = spec.trainer
    container = pod.Container(
        name=TRAINER,
        image=trainer.image or config.trainer_image,
        pull_policy=config.image_pull_policy,
        command=trainer.command or _command(spec),
        args=trainer.args,
        env=pod.environment(
            trainer_environment(owner, spec, places, service=service), trainer, field="spec.trainer.env"
        ),
        secrets=_secrets(spec),
        ports={"report": REPORT_PORT},
        mounts=[*(m.volume_mount for m in places.mounts if m.volume_mount), *trainer.volume_mounts],
        resources=pod.resources(trainer.resources_per_node, requests=REQUESTS),
    )
    return pod.template(
        container,
        owner=owner,
        annotations={},
        volumes=_volumes(spec, places),
        placement=trainer,
        init=_copier(places.data, config),
        restartPolicy="Never",
        subdomain=service,
        terminationGracePeriodSeconds=GRACE_S,
        **({"affinity": trainer.affinity} if trainer.affinity else {}),
        **({"schedulingGates": [{"name": GANG}]} if _is_gang(spec) else {}),
    )


def _is_gang(spec: TrainingJobSpec) -> bool:
    """In a queue, Kueue admits all pods of a Job at once."""
    return spec.trainer.num_nodes > 1 and not spec.queue_name


def _command(spec: TrainingJobSpec) -> list[str]:
    return [] if spec.model.architecture == CUSTOM else ["python", "-m", "vaka.training"]


def _volumes(spec: TrainingJobSpec, places: storage.Places) -> list[JSON]:
    ours = [mount.volume for mount in places.mounts if mount.volume]
    taken = {volume["name"] for volume in ours} | {pod.SCRATCH}
    for volume in spec.trainer.volumes:
        if volume.get("name") in taken:
            raise ValueError(
                f"spec.trainer.volumes: {volume['name']} is one of Vaka's own: call it otherwise"
            )
    return [*ours, *spec.trainer.volumes]


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

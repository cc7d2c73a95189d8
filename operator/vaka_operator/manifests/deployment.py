"""The Deployment whose pods serve a model, and what goes with it."""

from vaka.api.contract import HTTP_PORT, LABEL_DIGEST
from vaka.api.inferenceservice import PredictorSpec
from vaka_operator.config import Config
from vaka_operator.manifests import pod
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.manifests.models import Supply
from vaka_operator.manifests.networkpolicy import network_policy
from vaka_operator.manifests.pdb import disruption_budget
from vaka_operator.manifests.service import service

SERVER = "server"
REQUESTS = {"cpu": "100m", "memory": "128Mi"}


def predictor_name(owner: Owner) -> str:
    return f"{owner.name}-predictor"


def surroundings(owner: Owner) -> list[JSON]:
    """What a service has whichever model it serves."""
    name = predictor_name(owner)
    return [
        service(owner),
        network_policy(owner, name=name, port=HTTP_PORT),
        disruption_budget(owner, name=name),
    ]


def deployment(owner: Owner, spec: PredictorSpec, supply: Supply, config: Config) -> JSON:
    """The server's pods; ValueError says which field of the spec is wrong and what is allowed."""
    mounts = supply.mounts(owner)
    digest = supply.model.digest
    container = pod.Container(
        name=SERVER,
        image=spec.image or config.server_image,
        pull_policy=config.image_pull_policy,
        command=["python", "-m", "vaka.cli", "serve"],
        args=[*supply.arguments(owner), "--name", owner.name, "--http-port", str(HTTP_PORT)],
        env=pod.environment([], spec, field="spec.predictor.env"),
        secrets=supply.secrets(),
        port=HTTP_PORT,
        port_name="http",
        mounts=[mount.volume_mount for mount in mounts if mount.volume_mount],
        resources=pod.resources(spec.resources, requests=REQUESTS),
        probes=_probes(),
    )
    template = pod.template(
        container,
        owner=owner,
        annotations={LABEL_DIGEST: digest} if digest else {},
        volumes=[mount.volume for mount in mounts if mount.volume],
        placement=spec,
        terminationGracePeriodSeconds=30,
    )
    return child(
        owner,
        api_version="apps/v1",
        kind="Deployment",
        name=predictor_name(owner),
        spec={
            "replicas": spec.min_replicas,
            "selector": {"matchLabels": owner.selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": 600,
            "template": template,
        },
    )


def _probes() -> JSON:
    """Live answers as soon as the process is up, whether or not it has its model; ready says that it has."""
    live = {"httpGet": {"path": "/v2/health/live", "port": "http"}}
    ready = {"httpGet": {"path": "/v2/health/ready", "port": "http"}}
    return {
        "startupProbe": live | {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 120},
        # Patient, for a busy node is no reason to kill a server.
        "livenessProbe": live | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": ready | {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3},
    }

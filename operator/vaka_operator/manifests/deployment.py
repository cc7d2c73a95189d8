"""The Deployment whose pods serve a model, and what goes with it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from vaka.api.contract import HTTP_PORT, LABEL_DIGEST
from vaka.api.inferenceservice import PredictorSpec
from vaka_operator.config import Config
from vaka_operator.manifests import pod, storage
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.manifests.networkpolicy import network_policy
from vaka_operator.manifests.pdb import disruption_budget
from vaka_operator.manifests.service import service

SERVER = "server"
REQUESTS = {"cpu": "100m", "memory": "128Mi"}


class Model(msgspec.Struct, kw_only=True, frozen=True):
    """The model that is to be served."""

    uri: str
    digest: str | None = None
    secret: str | None = None


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


def deployment(
    owner: Owner,
    spec: PredictorSpec,
    model: Model,
    config: Config,
    *,
    versions: Mapping[str, Model] = MappingProxyType({}),
) -> JSON:
    """The server's pods; ValueError says which field of the spec is wrong and what is allowed.

    Args:
        versions: further versions of the model by name.
    """
    mounts = storage.models(model.uri, {name: version.uri for name, version in versions.items()})
    container = pod.Container(
        name=SERVER,
        image=spec.image or config.server_image,
        pull_policy=config.image_pull_policy,
        command=["python", "-m", "vaka.cli", "serve"],
        args=_arguments(owner, model, versions, [mount.uri for mount in mounts]),
        env=pod.environment([], spec, field="spec.predictor.env"),
        secrets=_secrets(model, versions),
        port=HTTP_PORT,
        port_name="http",
        mounts=[mount.volume_mount for mount in mounts if mount.volume_mount],
        resources=pod.resources(spec.resources, requests=REQUESTS),
        probes=_probes(),
    )
    template = pod.template(
        container,
        owner=owner,
        annotations={LABEL_DIGEST: model.digest} if model.digest else {},
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


def _arguments(owner: Owner, model: Model, versions: Mapping[str, Model], uris: Sequence[str]) -> list[str]:
    """The server's words; `uris` are those of the model and of each version as the container sees them."""
    digest = ["--digest", model.digest] if model.digest else []
    words = ["--model", uris[0], *digest, "--name", owner.name, "--http-port", str(HTTP_PORT)]
    for (name, version), uri in zip(versions.items(), uris[1:], strict=True):
        words += ["--version", f"{name}={uri}" + (f"@{version.digest}" if version.digest else "")]
    return words


def _secrets(model: Model, versions: Mapping[str, Model]) -> list[str]:
    """One Secret or none: the keys of a second one would have the same names."""
    named = {"the model": model.secret} | {f"version {name}": v.secret for name, v in versions.items()}
    needed = {secret: what for what, secret in named.items() if secret}
    if len(needed) > 1:
        told = " and ".join(f"{what} needs Secret {secret}" for secret, what in needed.items())
        raise ValueError(
            f"spec.predictor.model.versions: {told}: give one Secret that reaches all in "
            "spec.predictor.model.secretRef"
        )
    return list(needed)


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

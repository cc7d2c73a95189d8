"""The pods that stand in front of a service's pods: HAProxy, and what goes with it."""

import hashlib
import hmac

from vaka.api.contract import ADMIN_PORT, GRPC_PORT, HTTP_PORT
from vaka.api.inferenceservice import InferenceServiceSpec
from vaka.api.router import RouterAuth, RouterSpec
from vaka_operator.config import Config
from vaka_operator.manifests import access, haproxy, pod
from vaka_operator.manifests.meta import JSON, Owner, child
from vaka_operator.manifests.networkpolicy import network_policy
from vaka_operator.manifests.pdb import disruption_budget
from vaka_operator.manifests.rolling import rolling

ROUTER = "router"
REQUESTS = {"cpu": "50m", "memory": "64Mi"}
CONFIG_DIGEST = "vaka.dev/config-digest"
"""Annotation of router pods: another configuration needs other pods."""
HOLD_S = 30
HOLD_FROM_ZERO_S = 120
"""How long a request waits for a pod where there are always some, and where there may be none."""
LEAVE_S = 15
"""How long a router that ends goes on taking requests: until all have learnt of it, and another, where it was
the only one, has started on another node."""
GRACE_S = 90
# HAProxy's buffers are larger than what glibc keeps: without this each request would map and clear memory.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}


def token(owner: Owner, config: Config) -> str:
    """What the operator shows to the routers of this very service; it is never stored."""
    return hmac.new(config.router_key.encode(), owner.uid.encode(), hashlib.sha256).hexdigest()


def configuration(
    owner: Owner, spec: InferenceServiceSpec, config: Config, *, predictor: str, canary: str | None
) -> str:
    """haproxy.cfg for these addresses; ValueError says which field of the spec is wrong.

    Args:
        predictor: address of the Service of the predictor.
        canary: that of the canary, where there is one.
    """
    authorization = f"Bearer {token(owner, config)}"
    settings = haproxy.Settings(
        router=spec.router or RouterSpec(),
        predictor=predictor,
        canary=canary,
        headers=spec.canary.headers if spec.canary else (),
        timeout_s=spec.predictor.timeout or haproxy.Settings.timeout_s,
        hold_s=HOLD_FROM_ZERO_S if spec.predictor.min_replicas == 0 else HOLD_S,
        token_digest=hashlib.sha256(authorization.encode()).hexdigest(),
    )
    return haproxy.configuration(settings)


def config_map(owner: Owner, configuration: str, *, canary_percent: int) -> JSON:
    data = {"haproxy.cfg": configuration, "state.cfg": haproxy.initial_state(canary_percent)}
    return child(owner, api_version="v1", kind="ConfigMap", name=owner.part_name, spec=data, content="data")


def router(owner: Owner, spec: InferenceServiceSpec, config: Config, configuration: str) -> list[JSON]:
    """The Deployment and what belongs to it; the ConfigMap is made before."""
    ports = [HTTP_PORT, GRPC_PORT, ADMIN_PORT]
    return [
        network_policy(owner, name=owner.part_name, ports=ports),
        disruption_budget(owner),
        _deployment(owner, spec, config, configuration),
    ]


def _deployment(owner: Owner, spec: InferenceServiceSpec, config: Config, configuration: str) -> JSON:
    given = spec.router or RouterSpec()
    files = _files(owner, given)
    container = pod.Container(
        name=ROUTER,
        image=config.router_image,
        pull_policy=config.image_pull_policy,
        command=[],
        env=_environment(given.auth),
        ports={"admin": ADMIN_PORT, "http": HTTP_PORT, "grpc": GRPC_PORT},
        mounts=[{"name": name, "mountPath": f"/etc/vaka/{name}", "readOnly": True} for name in files],
        resources=pod.resources(given.resources, requests=REQUESTS),
        probes=_probes(),
    )
    template = pod.template(
        container,
        owner=owner,
        annotations={CONFIG_DIGEST: hashlib.sha256(configuration.encode()).hexdigest()[:16]},
        volumes=[{"name": name} | source for name, source in files.items()],
        placement=spec.predictor,
        terminationGracePeriodSeconds=GRACE_S,
    )
    return rolling(owner, template, replicas=given.replicas)


def _files(owner: Owner, given: RouterSpec) -> dict[str, JSON]:
    """Volumes by name: each is mounted under /etc/vaka."""
    files: dict[str, JSON] = {"config": {"configMap": {"name": owner.part_name}}}
    if given.tls:
        files["tls"] = {"secret": {"secretName": given.tls.secret_ref.name}}
    if given.auth and given.auth.api_keys:
        files["api-keys"] = {"secret": {"secretName": given.auth.api_keys.secret_ref.name}}
    if given.auth and given.auth.jwt and not access.is_shared(given.auth.jwt):
        files["jwt"] = {"secret": {"secretName": given.auth.jwt.secret_ref.name}}
    return files


def _environment(auth: RouterAuth | None) -> list[JSON]:
    variables: list[JSON] = [{"name": name, "value": value} for name, value in _MALLOC.items()]
    if auth and auth.jwt and access.is_shared(auth.jwt):
        source = {"secretKeyRef": {"name": auth.jwt.secret_ref.name, "key": "key"}}
        variables.append({"name": access.JWT_ENV, "valueFrom": source})
    return variables


def _probes() -> JSON:
    healthy = {"httpGet": {"path": "/healthz", "port": "admin"}}
    return {
        "readinessProbe": healthy | {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": healthy | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        # It stays ready meanwhile: a Service whose pods all end still uses those that are ready.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_S)]}}},
    }

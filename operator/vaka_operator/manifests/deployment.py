"""The Deployment whose pods serve a model, and what goes with it."""

from vaka.api.contract import GRPC_PORT, HTTP_PORT, LABEL_DIGEST
from vaka.api.inferenceservice import Batcher, PredictorSpec
from vaka_operator.config import Config
from vaka_operator.manifests import pod
from vaka_operator.manifests.meta import JSON, Owner
from vaka_operator.manifests.models import FIELDS, Supply
from vaka_operator.manifests.networkpolicy import network_policy
from vaka_operator.manifests.pdb import disruption_budget
from vaka_operator.manifests.rolling import rolling
from vaka_operator.manifests.service import part_service

SERVER = "server"
REQUESTS = {"cpu": "100m", "memory": "128Mi"}
PORTS = {"http": HTTP_PORT, "grpc": GRPC_PORT}


def surroundings(owner: Owner, config: Config, *, closed: bool) -> list[JSON]:
    """What a predictor has whichever model it serves.

    Args:
        owner: for the predictor or the canary.
        config: the operator's settings.
        closed: only a router may reach its pods, and who watches over them.
    """
    ports = list(PORTS.values())
    return [
        part_service(owner),
        network_policy(
            owner, name=owner.part_name, ports=ports, peers=_peers(owner, config) if closed else ()
        ),
        disruption_budget(owner),
    ]


def _peers(owner: Owner, config: Config) -> list[JSON]:
    """Who reaches the pods behind a router: it, the operator, Prometheus, and a canary also its predictor."""

    def elsewhere(name: str, **namespace: str) -> JSON:
        pods = {"matchLabels": {"app.kubernetes.io/name": name}}
        return {"namespaceSelector": {"matchLabels": namespace} if namespace else {}, "podSelector": pods}

    shadowed = [{"podSelector": {"matchLabels": owner.of("predictor").pods}}]
    home = {"kubernetes.io/metadata.name": config.namespace} if config.namespace else {}
    return [
        {"podSelector": {"matchLabels": owner.of("router").pods}},
        elsewhere("vaka-operator", **home),
        elsewhere("prometheus"),
        *(shadowed if owner.component == "canary" else []),
    ]


def deployment(
    owner: Owner,
    spec: PredictorSpec,
    supply: Supply,
    config: Config,
    *,
    replicas: int,
    shadow_percent: float = 0,
) -> JSON:
    """The server's pods; ValueError says which field of the spec is wrong and what is allowed.

    Args:
        shadow_percent: the part of the requests that the canary is asked as well.
    """
    mounts, digest = supply.mounts(owner), supply.model.digest
    container = _container(owner, spec, supply, config, shadow_percent=shadow_percent)
    template = pod.template(
        container,
        owner=owner,
        annotations={LABEL_DIGEST: digest} if digest else {},
        volumes=[mount.volume for mount in mounts if mount.volume],
        placement=spec,
        terminationGracePeriodSeconds=30,
    )
    return rolling(owner, template, replicas=replicas)


def _container(
    owner: Owner, spec: PredictorSpec, supply: Supply, config: Config, *, shadow_percent: float
) -> pod.Container:
    return pod.Container(
        name=SERVER,
        image=spec.image or config.server_image,
        pull_policy=config.image_pull_policy,
        command=["python", "-m", "vaka.cli", "serve"],
        args=[
            *supply.arguments(owner),
            *("--name", owner.name, "--http-port", str(HTTP_PORT), "--grpc-port", str(GRPC_PORT)),
            *_limits(spec),
            *_taps(owner, spec, shadow_percent),
        ],
        env=pod.environment([], spec, field=f"{FIELDS[owner.component]}.env"),
        secrets=supply.secrets(owner),
        ports=PORTS,
        mounts=[mount.volume_mount for mount in supply.mounts(owner) if mount.volume_mount],
        resources=pod.resources(spec.resources, requests=REQUESTS),
        probes=_probes(),
    )


def _limits(spec: PredictorSpec) -> list[str]:
    batcher = spec.batcher or Batcher()
    given = {
        "--concurrency": spec.container_concurrency,
        "--timeout": spec.timeout,
        "--max-batch-size": batcher.max_batch_size,
        "--max-latency": batcher.max_latency,
    }
    return [word for flag, value in given.items() if value is not None for word in (flag, str(value))]


def _taps(owner: Owner, spec: PredictorSpec, shadow_percent: float) -> list[str]:
    words: list[str] = []
    if shadow_percent:
        canary = f"http://{owner.of('canary').part_name}.{owner.namespace}.svc"
        words += ["--shadow", canary, "--shadow-percent", f"{shadow_percent:g}"]
    if log := spec.logger:
        words += ["--log-payloads", log.url, "--log-mode", log.mode, "--log-percent", f"{log.percent:g}"]
    return words


def _probes() -> JSON:
    """Live answers as soon as the process is up, whether or not it has its model; ready says that it has.

    Without a startup probe the kubelet asks for ready the moment the container runs, before any server
    listens, and reports that as a warning. With it, ready is asked once a prompt model is there.
    """
    live = {"httpGet": {"path": "/v2/health/live", "port": "http"}}
    ready = {"httpGet": {"path": "/v2/health/ready", "port": "http"}}
    return {
        "startupProbe": live | {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 120},
        # Patient, for a busy node is no reason to kill a server.
        "livenessProbe": live | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": ready | {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3},
    }

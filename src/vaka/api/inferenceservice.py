"""InferenceService: serves a trained model."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from vaka.api.router import CanaryGates, HeaderMatch, RouterSpec
from vaka.api.servedmodel import RESOLVED, PredictorModel, ResolvedModel
from vaka.api.types import (
    CONDITIONS,
    Condition,
    EnvVar,
    Resource,
    Resources,
    Rule,
    Toleration,
    said,
)


class Batcher(Resource, frozen=True):
    max_batch_size: (
        Annotated[int, Meta(ge=1, le=4096, description="Requests in a batch, at most.")] | None
    ) = None
    max_latency: (
        Annotated[int, Meta(ge=0, le=60_000, description="Milliseconds that a request may wait for others.")]
        | None
    ) = None


class Logger(Resource, frozen=True):
    url: Annotated[
        str,
        said(
            "Where requests and answers go: http(s):// or kafka://BROKER:PORT/TOPIC as CloudEvents, "
            "s3://BUCKET/PREFIX as JSON lines.",
            Rule(
                "self.matches('^(https?://[^/]+.*|s3://[^/]+/.+|kafka://[^/]+:[0-9]+/[A-Za-z0-9._-]+)$')",
                "must be http(s)://..., s3://BUCKET/PREFIX or kafka://BROKER:PORT[,BROKER:PORT]/TOPIC",
            ),
            maxLength=1024,
        ),
    ]
    mode: Annotated[
        Literal["all", "request", "response"], said("Whether requests, answers or both are logged.")
    ] = "all"
    percent: Annotated[
        float, Meta(gt=0, le=100, description="How many of a hundred requests are logged, by chance.")
    ] = 100


class PredictorSpec(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.maxReplicas) || self.maxReplicas >= self.minReplicas",
            "maxReplicas must be at least minReplicas",
        ),
        Rule(
            "self.scaleMetric != 'rps' || has(self.scaleTarget)",
            "scaleMetric rps needs scaleTarget: the requests a second of one pod",
        ),
    )
    model: Annotated[PredictorModel, said("Which model.")]
    min_replicas: Annotated[
        int, Meta(ge=0, le=1000, description="How many pods serve it at least; 0: none while nobody asks.")
    ] = 1
    max_replicas: (
        Annotated[int, Meta(ge=1, le=1000, description="How many at most; default: minReplicas, or 1.")]
        | None
    ) = None
    scale_metric: Annotated[
        Literal["cpu", "concurrency", "rps"],
        said("What decides between minReplicas and maxReplicas: CPU, requests in flight or a second."),
    ] = "cpu"
    scale_target: (
        Annotated[
            int,
            Meta(
                ge=1, description="What one pod should have of it: percent of its CPU request, or requests."
            ),
        ]
        | None
    ) = None
    scale_down_delay: Annotated[
        int, Meta(ge=1, le=86400, description="Seconds with less to do before pods are taken away.")
    ] = 60
    container_concurrency: (
        Annotated[int, Meta(ge=1, le=100_000, description="Requests that a pod takes at once.")] | None
    ) = None
    timeout: Annotated[int, Meta(ge=1, le=3600, description="Seconds that a request may take.")] | None = None
    batcher: Annotated[Batcher, said("How requests are put together for the model.")] | None = None
    logger: Annotated[Logger, said("Log requests and answers; none is logged without it.")] | None = None
    image: (
        Annotated[str, said("Image of the server; default: the one that the chart names.", minLength=1)]
        | None
    ) = None
    env: Annotated[list[EnvVar], said("More environment variables.")] = []
    resources: Annotated[Resources, said("Resources of each server pod.")] | None = None
    node_selector: Annotated[dict[str, str], said("Labels that a node must have.")] = {}
    tolerations: Annotated[list[Toleration], said("Taints that are tolerated.")] = []
    priority_class_name: Annotated[str, said("Priority class of the pods.")] | None = None

    @property
    def most_replicas(self) -> int:
        return self.max_replicas or max(self.min_replicas, 1)

    @property
    def scales(self) -> bool:
        """Whether the number of pods follows scaleMetric."""
        return self.most_replicas > max(self.min_replicas, 1)


class CanarySpec(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.predictor.minReplicas > 0", "canary.predictor.minReplicas must be at least 1"),
        Rule(
            "!has(self.predictor.maxReplicas) || self.predictor.scaleMetric == 'cpu'",
            "canary.predictor.scaleMetric must be cpu",
        ),
        Rule(
            "!has(self.gates) || !has(self.trafficPercent)",
            "give either trafficPercent or gates, whose steps decide it",
        ),
        Rule(
            "!has(self.gates) || !has(self.gates.minAgreement) || self.shadowPercent > 0",
            "gates.minAgreement needs shadowPercent: only what the shadow was asked can be compared",
        ),
    )
    predictor: Annotated[PredictorSpec, said("The pods that answer this part of the predictions.")]
    traffic_percent: (
        Annotated[
            int, Meta(ge=0, le=100, description="The part of the requests that it answers; default: 0.")
        ]
        | None
    ) = None
    shadow_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="The part of the predictor's requests that it is asked as well, to compare its "
            "answers; they are never returned.",
        ),
    ] = 0
    headers: Annotated[
        list[HeaderMatch], said("Requests with all of these headers go to it, whatever its part.", maxItems=8)
    ] = []
    gates: (
        Annotated[CanaryGates, said("Let its errors and its speed decide how much traffic it gets.")] | None
    ) = None


class InferenceServiceSpec(Resource, frozen=True):
    predictor: Annotated[PredictorSpec, said("The pods that answer predictions.")]
    canary: Annotated[CanarySpec, said("Another model that answers a part of the predictions.")] | None = None
    router: Annotated[RouterSpec, said("What stands in front of the pods.")] | None = None

    @property
    def needs_router(self) -> bool:
        """Whether requests must be held, counted, shared out or checked before they reach a pod."""
        counted = self.predictor.scales and self.predictor.scale_metric != "cpu"
        return bool(self.canary or self.router or counted or self.predictor.min_replicas == 0)


class Address(Resource, frozen=True):
    url: str


class ModelStates(Resource, frozen=True):
    active_model_state: str | None = None
    target_model_state: str | None = None


class LoadFailure(Resource, frozen=True):
    reason: str
    message: str
    pod: str | None = None
    exit_code: int | None = None


class ServedModelStatus(Resource, frozen=True):
    """KServe's terms: transitionStatus UpToDate, InProgress, BlockedByFailedLoad or InvalidSpec."""

    transition_status: str
    states: ModelStates
    uri: Annotated[str, said("Where the model is that is to be served.")] | None = None
    digest: Annotated[str, said("Its digest.")] | None = None
    active_digest: Annotated[str, said("Digest of what is served, while it is another.")] | None = None
    last_failure_info: LoadFailure | None = None


class Replicas(Resource, frozen=True):
    desired: int
    ready: int
    updated: int


class ComponentStatus(Resource, frozen=True):
    """One Deployment of the service."""

    replicas: Replicas
    model_status: ServedModelStatus | None = None


class Components(Resource, frozen=True):
    predictor: ComponentStatus | None = None
    canary: ComponentStatus | None = None
    router: ComponentStatus | None = None


class TrafficTarget(Resource, frozen=True):
    component: Annotated[str, said("predictor or canary.")]
    percent: Annotated[int, said("The part of the requests that it answers now.")]
    uri: str | None = None
    digest: str | None = None


class CanaryFigures(Resource, frozen=True):
    """What was measured since the canary came to its step."""

    requests: int
    error_rate: Annotated[str, said("In decimal.")]
    latency_ratio: Annotated[str, said("Its mean time by the predictor's, in decimal.")] | None = None
    compared: Annotated[int, said("How many of its answers were compared with the predictor's.")] | None = (
        None
    )
    agreement: Annotated[str, said("The part of them that agreed, in decimal.")] | None = None


class CanaryStatus(Resource, frozen=True):
    phase: Annotated[str, said("Waiting, Progressing, Promoted or RolledBack with gates; otherwise Manual.")]
    traffic_percent: Annotated[int, said("The part of the requests that it answers now.")]
    target: Annotated[str, said("Which canary this was decided for.")] | None = None
    step: Annotated[int, said("The step of its gates that it is at.")] | None = None
    step_since: Annotated[str, said("When it came to this step (RFC 3339, UTC).")] | None = None
    figures: CanaryFigures | None = None
    message: str | None = None


class Scaling(Resource, frozen=True):
    """How the service came back from zero pods the last time."""

    woken_at: Annotated[str, said("When a request made the operator start a pod (RFC 3339, UTC).")] | None = (
        None
    )
    cold_start_milliseconds: Annotated[int, said("From then until a pod was ready.")] | None = None


class InferenceServiceStatus(Resource, frozen=True):
    observed_generation: int | None = None
    state: Annotated[str, said("Ready, or the reason why it is not.")] | None = None
    conditions: Annotated[list[Condition], Meta(extra_json_schema=CONDITIONS)] = []
    url: str | None = None
    address: Address | None = None
    replicas: Replicas | None = None
    models: Annotated[list[ResolvedModel], RESOLVED] = []
    model_status: ServedModelStatus | None = None
    components: Components | None = None
    traffic: list[TrafficTarget] = []
    canary: CanaryStatus | None = None
    scaling: Scaling | None = None


class InferenceService(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
            "metadata.name must be at most 52 lower-case letters, digits and '-', and start with a letter",
        ),
    )
    spec: InferenceServiceSpec
    status: InferenceServiceStatus | None = None

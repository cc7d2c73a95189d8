"""InferenceService: serves a trained model."""

from typing import Annotated, ClassVar

from msgspec import Meta

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


class PredictorSpec(Resource, frozen=True):
    model: Annotated[PredictorModel, said("Which model.")]
    min_replicas: Annotated[int, Meta(ge=1, le=1000, description="How many pods serve it.")] = 1
    image: (
        Annotated[str, said("Image of the server; default: the one that the chart names.", minLength=1)]
        | None
    ) = None
    env: Annotated[list[EnvVar], said("More environment variables.")] = []
    resources: Annotated[Resources, said("Resources of each server pod.")] | None = None
    node_selector: Annotated[dict[str, str], said("Labels that a node must have.")] = {}
    tolerations: Annotated[list[Toleration], said("Taints that are tolerated.")] = []
    priority_class_name: Annotated[str, said("Priority class of the pods.")] | None = None


class InferenceServiceSpec(Resource, frozen=True):
    predictor: Annotated[PredictorSpec, said("The pods that answer predictions.")]


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


class InferenceServiceStatus(Resource, frozen=True):
    observed_generation: int | None = None
    state: Annotated[str, said("Ready, or the reason why it is not.")] | None = None
    conditions: Annotated[list[Condition], Meta(extra_json_schema=CONDITIONS)] = []
    url: str | None = None
    address: Address | None = None
    replicas: Replicas | None = None
    models: Annotated[list[ResolvedModel], RESOLVED] = []
    model_status: ServedModelStatus | None = None


class InferenceService(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
            "metadata.name must be at most 52 lower-case letters, digits and '-', and start with a letter",
        ),
    )
    spec: InferenceServiceSpec
    status: InferenceServiceStatus | None = None

"""TrainingJob: trains a model on a data set and publishes it."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from vaka.api.types import (
    CONDITIONS,
    Condition,
    EnvVar,
    Metric,
    Opaque,
    Quantity,
    Resource,
    Resources,
    Rule,
    SecretRef,
    Toleration,
    said,
)

DATASET_URI = Rule(
    r"self.matches('^(pkg://[a-z0-9-]+|pvc://[a-z0-9.-]+(/.*)?|s3://[^/]+(/.*)?|https://[^/]+/.+|file:///.+)$')",
    "must be pkg://NAME, pvc://CLAIM/PATH, s3://BUCKET/PREFIX, https://HOST/PATH or file:///PATH",
)
OUTPUT_URI = Rule(
    r"self.matches('^(pvc://[a-z0-9.-]+(/.*)?|s3://[^/]+/.+|file:///.+)$')",
    "must be pvc://CLAIM/PATH, s3://BUCKET/PREFIX or file:///PATH",
)


class ModelSpec(Resource, frozen=True):
    architecture: Annotated[Literal["cnn"], said("Which built-in model is trained.")]
    hyperparameters: Annotated[Opaque, said("Settings of the architecture, such as epochs; see docs/.")] = {}


class DatasetSpec(Resource, frozen=True):
    storage_uri: Annotated[
        str,
        said(
            "Where the data is: pkg://NAME (packaged), pvc://CLAIM/PATH, s3://BUCKET/PREFIX, https:// or file:///.",
            DATASET_URI,
            maxLength=1024,
        ),
    ]
    format: Annotated[
        Literal["auto", "idx", "imagefolder"],
        said("How the data is laid out: IDX files, a folder of images per class, or whichever is found."),
    ] = "auto"
    validation_fraction: Annotated[
        float,
        Meta(ge=0.01, le=0.5, description="Part of the training data held out where no test split exists."),
    ] = 0.1
    seed: Annotated[int, Meta(ge=0, description="Seed of that split.")] = 0
    secret_ref: (
        Annotated[SecretRef, said("Secret whose keys (AWS_ACCESS_KEY_ID, ...) give access to the storage.")]
        | None
    ) = None


class TrainerSpec(Resource, frozen=True):
    image: (
        Annotated[str, said("Image of the trainer; default: the one that the chart names.", minLength=1)]
        | None
    ) = None
    env: Annotated[list[EnvVar], said("More environment variables.")] = []
    resources_per_node: Annotated[Resources, said("Resources of each trainer pod.")] | None = None
    node_selector: Annotated[dict[str, str], said("Labels that a node must have.")] = {}
    strategy: Annotated[
        Literal["ddp", "fsdp"],
        said("ddp: each process holds the whole model; fsdp: it is sharded over all of them."),
    ] = "ddp"
    tolerations: Annotated[list[Toleration], said("Taints that are tolerated.")] = []
    priority_class_name: Annotated[str, said("Priority class of the pods.")] | None = None


class OutputSpec(Resource, frozen=True):
    storage_uri: (
        Annotated[
            str,
            said(
                "Where the model folder goes; default: a claim NAME-model that the job makes and owns.",
                OUTPUT_URI,
                maxLength=1024,
            ),
        ]
        | None
    ) = None
    size: Annotated[Quantity, said("Size of the claim that is made where storageUri is not given.")] = "1Gi"
    secret_ref: (
        Annotated[SecretRef, said("Secret whose keys (AWS_ACCESS_KEY_ID, ...) give access to the storage.")]
        | None
    ) = None


class CheckpointSpec(Resource, frozen=True):
    storage_uri: (
        Annotated[
            str,
            said(
                "Where checkpoints go, in a folder named by the job's uid; default: beside the model.",
                OUTPUT_URI,
                maxLength=1024,
            ),
        ]
        | None
    ) = None
    every_steps: (
        Annotated[int, Meta(ge=1, description="Steps between two checkpoints, in place of everySeconds.")]
        | None
    ) = None
    every_seconds: Annotated[int, Meta(ge=1, description="Seconds between two checkpoints.")] = 60
    keep: Annotated[int, Meta(ge=1, le=100, description="How many complete checkpoints are kept.")] = 2


class TrainingJobSpec(Resource, frozen=True):
    model: Annotated[ModelSpec, said("What is trained.")]
    dataset: Annotated[DatasetSpec, said("What it is trained on.")]
    trainer: Annotated[TrainerSpec, said("The pods that train.")] = TrainerSpec()
    output: Annotated[OutputSpec, said("Where the trained model is published.")] = OutputSpec()
    checkpoint: Annotated[CheckpointSpec, said("How training survives restarts.")] = CheckpointSpec()
    suspend: Annotated[bool, said("True holds the job: its pods are removed until it is false again.")] = (
        False
    )
    backoff_limit: Annotated[
        int, Meta(ge=0, le=100, description="How many pods may fail before the job has failed.")
    ] = 3
    active_deadline_seconds: (
        Annotated[int, Meta(ge=1, description="Seconds after which a running job is failed.")] | None
    ) = None


class TrainerStatus(Resource, frozen=True):
    progress_percentage: Annotated[int, Meta(ge=0, le=100)] | None = None
    estimated_remaining_seconds: Annotated[int, Meta(ge=0)] | None = None
    step: Annotated[int, Meta(ge=0)] | None = None
    epoch: Annotated[int, Meta(ge=0)] | None = None
    metrics: list[Metric] = []


class ModelStatus(Resource, frozen=True):
    uri: Annotated[str, said("Where the model folder is.")]
    digest: Annotated[str, said("sha256 of its manifest, which holds the digest of every file.")]
    metrics: list[Metric] = []


class FailureStatus(Resource, frozen=True):
    reason: str
    message: Annotated[str, said("What went wrong, with the last log lines.")]
    pod: str | None = None
    exit_code: int | None = None


class TrainingJobStatus(Resource, frozen=True):
    observed_generation: int | None = None
    state: Annotated[str, said("The condition that holds now, with its reason where it waits.")] | None = None
    conditions: Annotated[list[Condition], Meta(extra_json_schema=CONDITIONS)] = []
    start_time: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None
    completion_time: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None
    restarts: Annotated[int, Meta(ge=0)] | None = None
    progress: Annotated[str, said("Progress for the printer column, such as 42%.")] | None = None
    eta: Annotated[str, said("Remaining time for the printer column, such as 1m20s.")] | None = None
    metric: Annotated[str, said("The main metric for the printer column, such as accuracy=0.991.")] | None = (
        None
    )
    trainer_status: TrainerStatus | None = None
    model: ModelStatus | None = None
    failure: FailureStatus | None = None


def _fixed(field: str) -> Rule:
    started = "has(oldSelf.status) && has(oldSelf.status.startTime)"
    return Rule(
        f"!({started}) || self.spec.{field} == oldSelf.spec.{field}",
        f"spec.{field} cannot be changed after the job has started: delete the job and create it anew",
    )


class TrainingJob(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
            "metadata.name must be at most 52 lower-case letters, digits and '-', and start with a letter",
        ),
        *map(_fixed, ("model", "dataset", "trainer", "output", "backoffLimit")),
    )
    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

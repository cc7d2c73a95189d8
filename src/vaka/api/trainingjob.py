"""TrainingJob: trains a model on a data set and publishes it."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from vaka.api import architectures
from vaka.api.architectures import ARCHITECTURES
from vaka.api.architectures.base import Hyperparameters
from vaka.api.dataset import DatasetSpec
from vaka.api.search import SEARCH, SearchSpec, search_rules
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka.api.types import (
    EnvVar,
    Opaque,
    Quantity,
    Resource,
    Resources,
    Rule,
    SecretRef,
    Toleration,
    said,
)

CONTROLLER = "vaka.dev/trainingjob-controller"
"""spec.managedBy of the jobs that the operator takes care of, and of those that give none."""
CUSTOM = "custom"
"""The architecture of a container of one's own."""

OUTPUT_URI = Rule(
    r"self.matches('^(pvc://[a-z0-9.-]+(/.*)?|s3://[^/]+/.+|file:///.+)$')",
    "must be pvc://CLAIM/PATH, s3://BUCKET/PREFIX or file:///PATH",
)


MANAGED_BY = Rule(
    f"self == '{CONTROLLER}' || "
    "(!self.startsWith('vaka.dev/') && self.matches('^[a-z0-9.-]+/[A-Za-z0-9/_.-]+$'))",
    f"must be {CONTROLLER} or the name of another controller, such as kueue.x-k8s.io/multikueue",
)


class ModelSpec(Resource, frozen=True):
    architecture: Annotated[
        str,
        said(
            "Which built-in model is trained; custom: whatever the container of trainer.image trains.",
            enum=[*ARCHITECTURES, CUSTOM],
        ),
    ]
    hyperparameters: Annotated[Opaque, said("Settings of the architecture, such as epochs; see docs/.")] = {}


class TrainerSpec(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.minNodes) || self.minNodes <= self.numNodes",
            "minNodes must not be greater than numNodes",
        ),
    )
    image: (
        Annotated[str, said("Image of the trainer; default: the one that the chart names.", minLength=1)]
        | None
    ) = None
    command: Annotated[
        list[str],
        said("What the container runs; default: Vaka's trainer, or what the custom image itself starts."),
    ] = []
    args: Annotated[list[str], said("Arguments of the command.")] = []
    env: Annotated[list[EnvVar], said("More environment variables.")] = []
    num_nodes: Annotated[int, Meta(ge=1, le=1000, description="How many pods train together.")] = 1
    min_nodes: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=1000,
                description="With how many pods training goes on when others are lost, until they are back; "
                "default: with none less than numNodes.",
            ),
        ]
        | None
    ) = None
    num_proc_per_node: Annotated[
        int, Meta(ge=1, le=64, description="How many processes train in each pod, such as one for each GPU.")
    ] = 1
    strategy: Annotated[
        Literal["ddp", "fsdp"],
        said("How processes share the work: each has the whole model (ddp) or a part of it (fsdp)."),
    ] = "ddp"
    resources_per_node: Annotated[Resources, said("Resources of each trainer pod.")] | None = None
    node_selector: Annotated[dict[str, str], said("Labels that a node must have.")] = {}
    tolerations: Annotated[list[Toleration], said("Taints that are tolerated.")] = []
    affinity: Annotated[Opaque, said("Which nodes and neighbours the pods like, as in a Pod.")] = {}
    priority_class_name: Annotated[str, said("Priority class of the pods.")] | None = None
    volumes: Annotated[list[Opaque], said("More volumes, as in a Pod.")] = []
    volume_mounts: Annotated[list[Opaque], said("Where they are mounted, as in a Pod.")] = []

    @property
    def required_nodes(self) -> int:
        """With how many pods it can train."""
        return self.min_nodes or self.num_nodes

    @property
    def elastic(self) -> bool:
        return self.required_nodes < self.num_nodes


class CheckpointSpec(Resource, frozen=True):
    storage_uri: (
        Annotated[
            str,
            said(
                "Where checkpoints go, in a folder of each job's own; default: beside the model.",
                OUTPUT_URI,
                maxLength=1024,
            ),
        ]
        | None
    ) = None
    every_steps: (
        Annotated[
            int, Meta(ge=1, description="Steps between two checkpoints; the seconds then do not count.")
        ]
        | None
    ) = None
    every_seconds: Annotated[int, Meta(ge=1, description="Seconds between two checkpoints.")] = 60
    keep: Annotated[int, Meta(ge=1, le=100, description="How many of the newest checkpoints are kept.")] = 2


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
    precisions: Annotated[
        list[Literal["int8"]],
        said(
            "Variants to publish with the model, with what they lose; an InferenceService asks for one with "
            "precision.",
            **{"x-kubernetes-list-type": "set"},
        ),
    ] = []
    secret_ref: (
        Annotated[SecretRef, said("Secret whose keys (AWS_ACCESS_KEY_ID, ...) give access to the storage.")]
        | None
    ) = None


class FailurePolicySpec(Resource, frozen=True):
    rules_: Annotated[
        list[Opaque],
        said("Rules as in the podFailurePolicy of a Job; they come before Vaka's own.", maxItems=16),
    ] = msgspec.field(default_factory=list, name="rules")


class TrainingJobSpec(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.model.architecture != 'custom' || has(self.trainer.image)",
            "trainer.image must be given: architecture custom trains what your own image holds",
        ),
    )
    model: Annotated[ModelSpec, said("What is trained.")]
    dataset: Annotated[DatasetSpec, said("What it is trained on.")]
    trainer: Annotated[TrainerSpec, said("The pods that train.")] = TrainerSpec()
    output: Annotated[OutputSpec, said("Where the trained model is published.")] = OutputSpec()
    checkpoint: Annotated[CheckpointSpec, said("When and where what is needed to continue is saved.")] = (
        CheckpointSpec()
    )
    suspend: Annotated[bool, said("True holds the job: its pods are removed until it is false again.")] = (
        False
    )
    backoff_limit: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="How often in a row training may fail before the job has failed: a newer checkpoint "
            "starts the count anew. Disruptions such as a drained node, and pods killed from outside, do not "
            "count; to run out of memory does.",
        ),
    ] = 3
    failure_policy: (
        Annotated[FailurePolicySpec, said("Which ends of a pod fail the job at once, count, or do not.")]
        | None
    ) = None
    active_deadline_seconds: (
        Annotated[
            int,
            Meta(ge=1, description="Seconds after which a running job is failed; suspended time is free."),
        ]
        | None
    ) = None
    ttl_seconds_after_finished: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="Seconds after its end until the job is deleted, with the claim that it made: "
                "give output.storageUri to keep the model.",
            ),
        ]
        | None
    ) = None
    queue_name: (
        Annotated[
            str,
            said(
                "The Kueue LocalQueue that admits the job.",
                maxLength=63,
                pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            ),
        ]
        | None
    ) = None
    search: Annotated[SearchSpec, said(SEARCH)] | None = None
    managed_by: (
        Annotated[
            str,
            said(
                f"Who takes care of this job; default {CONTROLLER}. Vaka leaves the jobs of others alone, "
                "such as those of kueue.x-k8s.io/multikueue.",
                MANAGED_BY,
                maxLength=63,
            ),
        ]
        | None
    ) = None


def settings(spec: TrainingJobSpec) -> Hyperparameters:
    """The hyper-parameters of a built-in architecture, with their defaults.

    ValueError names what it does not know of them, or of the data set's format and options.
    """
    architecture, dataset = spec.model.architecture, spec.dataset
    if architecture not in ARCHITECTURES:
        known = ", ".join([*ARCHITECTURES, CUSTOM])
        raise ValueError(f"spec.model.architecture is {architecture!r}: known are {known}")
    architectures.check_format(architecture, dataset.format)
    architectures.options(architecture, dataset.options)
    return architectures.hyperparameters(architecture, spec.model.hyperparameters)


_STARTED = "has(oldSelf.status) && has(oldSelf.status.startTime)"
_FIXED = ("model", "dataset", "trainer", "output", "checkpoint", "backoffLimit")
_FIXED_OPTIONAL = ("failurePolicy", "queueName")


def _fixed(field: str) -> Rule:
    return Rule(
        f"!({_STARTED}) || self.spec.{field} == oldSelf.spec.{field}",
        f"spec.{field} cannot be changed after the job has started: delete the job and create it anew",
    )


def _fixed_optional(field: str) -> Rule:
    return Rule(
        f"!({_STARTED}) || {_same(field)}",
        f"spec.{field} cannot be changed after the job has started: delete the job and create it anew",
    )


def _same(field: str) -> str:
    given, before = f"has(self.spec.{field})", f"has(oldSelf.spec.{field})"
    return f"({given} == {before} && (!{given} || self.spec.{field} == oldSelf.spec.{field}))"


class TrainingJob(Resource, frozen=True):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')",
            "metadata.name must be at most 52 lower-case letters, digits and '-', and start with a letter",
        ),
        *map(_fixed, _FIXED),
        *map(_fixed_optional, _FIXED_OPTIONAL),
        *search_rules(_STARTED),
        Rule(_same("managedBy"), "spec.managedBy cannot be changed: delete the job and create it anew"),
    )
    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

"""What a TrainingJob tells of itself."""

from typing import Annotated

from msgspec import Meta

from vaka.api.search import SearchStatus
from vaka.api.types import CONDITIONS, Condition, Metric, Resource, said


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


class CheckpointStatus(Resource, frozen=True):
    step: Annotated[int, Meta(ge=0, description="Steps that are saved.")]
    uri: Annotated[str, said("Where the checkpoint is.")]
    time: Annotated[str, said("When it was saved (RFC 3339, UTC).", format="date-time")]


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
    checkpoint: Annotated[CheckpointStatus, said("What a restart continues from.")] | None = None
    model: ModelStatus | None = None
    failure: FailureStatus | None = None
    search: Annotated[SearchStatus, said("How the trials of spec.search fare.")] | None = None

"""What operator, trainer and server pods agree on: labels, ports, paths, the report, exit codes."""

import msgspec

from vaka.api.types import Metric

LABEL_JOB = "vaka.dev/training-job"
LABEL_SERVICE = "vaka.dev/inference-service"
LABEL_SEARCH = "vaka.dev/search"
"""On a trial's TrainingJob: the TrainingJob whose search it belongs to."""
LABEL_DIGEST = "vaka.dev/model-digest"

HTTP_PORT = 8080
"""The server's requests, probes, /metrics and /report."""
GRPC_PORT = 9000
"""The same requests over gRPC; also the router's."""
ADMIN_PORT = 8404
"""The router's /state, for the operator, and /metrics."""
REPORT_PORT = 9464
"""The trainer's /report and /metrics."""

DATASETS_IN_IMAGE = "/datasets"
"""Where the datasets image holds the packaged data sets, a folder each."""
DATASET_MOUNT = "/mnt/vaka/dataset"
OUTPUT_MOUNT = "/mnt/vaka/output"
MODEL_MOUNT = "/mnt/vaka/model"
CACHE_MOUNT = "/mnt/vaka/cache"
"""Models that servers share, by digest."""
SCRATCH_MOUNT = "/tmp"

RUN_ENV = "VAKA_RUN"
"""JSON of a `vaka.api.run.Run`: what the trainer shall do."""
TERMINATION_LOG = "/dev/termination-log"
"""The trainer's last report; Kubernetes keeps 4096 bytes of it."""

PACKAGED_DATASETS = ("mnist", "fashion-mnist", "photo-patches", "digit-scenes", "udhr-deu-tah", "wti")
"""Those of `vaka.data.packaged`, which the operator does not import."""

EXIT_DATA = 65
"""The data set is broken: trying again cannot help (sysexits' EX_DATAERR)."""
EXIT_CONFIG = 78
"""The specification is wrong: trying again cannot help (sysexits' EX_CONFIG)."""
PERMANENT_EXITS = (EXIT_DATA, EXIT_CONFIG)
EXIT_LOST_NODE = 75
"""Another node was lost: this one has to begin anew with the others (sysexits' EX_TEMPFAIL)."""
EXIT_STOPPED = 143
"""Stopped by SIGTERM, after a checkpoint was written."""
FREE_EXITS = (EXIT_LOST_NODE, EXIT_STOPPED)
"""No failures of the trainer's own: they do not count."""
EXIT_KILLED = 137
"""Ended by SIGKILL, from outside or for lack of memory."""


class PublishedModel(msgspec.Struct, rename="camel", kw_only=True, frozen=True, omit_defaults=True):
    uri: str
    digest: str
    metrics: list[Metric] = []


class CheckpointReport(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """The newest complete checkpoint; time is RFC 3339 in UTC."""

    step: int
    uri: str
    time: str


class ShadowReport(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """How often the model that shadows this one gave the same answer."""

    agreed: int
    compared: int


class Report(msgspec.Struct, rename="camel", kw_only=True, frozen=True, omit_defaults=True):
    """What a pod says of itself at GET /report, and the trainer last in its termination message.

    reason is one CamelCase word of `vaka.api.reasons`; message is a sentence that says what is wrong
    and what to do. While `waiting`, the pod tries again by itself: nothing is lost.
    """

    reason: str
    message: str = ""
    waiting: bool = False
    progress_percentage: int | None = None
    estimated_remaining_seconds: int | None = None
    step: int | None = None
    epoch: int | None = None
    metrics: list[Metric] = []
    checkpoint: CheckpointReport | None = None
    model: PublishedModel | None = None
    shadow: ShadowReport | None = None

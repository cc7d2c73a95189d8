"""What is known of a TrainingJob at one moment, and the one thing that is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from vaka.api.contract import FREE_EXITS, Report
from vaka.api.reasons import Reason
from vaka.api.trainingjob import TrainingJobSpec
from vaka.api.trainingjobstatus import FailureStatus, TrainingJobStatus
from vaka_operator.manifests.job import TRAINER
from vaka_operator.manifests.meta import JSON
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding
from vaka_operator.status.group import Group


class Stage(StrEnum):
    WAITING = "Waiting"
    QUEUED = "Queued"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


def job_condition(job: JSON | None, kind: str) -> JSON | None:
    """The condition of this type of a Job, if it is true."""
    found = (job or {}).get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind and c["status"] == "True"), None)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of a TrainingJob and its children at one moment."""

    spec: TrainingJobSpec
    previous: TrainingJobStatus
    public_output: str
    generation: int
    now: str
    job: JSON | None = None
    pods: Sequence[JSON] = ()
    """Those that the Job made."""
    leftover: Sequence[JSON] = ()
    """Those of a former Job that have not ended."""
    claims: Mapping[str, JSON | None] = field(default_factory=dict)
    """The claims that the pod which is held up mounts; None for one that does not exist."""
    events: Sequence[JSON] = ()
    """Of the pod that is held up, or of the Job where there is none; newest first."""
    reports: Mapping[str, Report] = field(default_factory=dict)
    """Of the pods that run, by name."""
    queue: str = ""
    """What the queue says of why it does not admit the Job."""
    held_by: str = "spec.suspend"
    """Whose wish it is where the job is suspended."""
    refusal: Finding | None = None
    """Why the Job could not be made."""

    @cached_property
    def group(self) -> Group:
        trainer = self.spec.trainer
        return Group(pods=self.pods, size=trainer.num_nodes, need=trainer.required_nodes)

    @cached_property
    def report(self) -> Report | None:
        """The report of the pod that is furthest."""
        return max(self.reports.values(), key=_advance, default=None)

    @property
    def alive(self) -> int:
        """How many pods have not ended."""
        return sum(podstatus.is_alive(pod) for pod in (*self.pods, *self.leftover))

    def condition(self, kind: str) -> JSON | None:
        """The Job's condition of this type, if it is true."""
        return job_condition(self.job, kind)

    def ended(self, phase: str) -> list[podstatus.Ended]:
        """How the last pod of each index that ended so did; the causes before what followed from them."""
        pods = [pod for pod in self.pods if podstatus.outcome(pod, TRAINER) == phase]
        last = Group(pods=pods, size=self.group.size, need=self.group.need).current
        newest_first = sorted(last, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
        ends = [end for pod in newest_first if (end := podstatus.ending(pod, TRAINER))]
        return sorted(ends, key=_is_consequence)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    stage: Stage
    finding: Finding
    report: Report | None = None
    failure: FailureStatus | None = None
    ended_at: str | None = None


def _is_consequence(end: podstatus.Ended) -> tuple[bool, bool]:
    """An error of its own explains more than a kill, and both more than what followed from them."""
    return end.exit_code in FREE_EXITS, end.finding.reason is Reason.KILLED


def _advance(report: Report) -> tuple[bool, int, int]:
    return report.model is not None, report.progress_percentage or 0, report.step or 0

"""What every reconcile has at hand, and how it reports."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from vaka.api.contract import ShadowReport
from vaka.api.inferenceservice import CanaryStatus, InferenceServiceStatus
from vaka.api.reasons import Reason
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka.api.types import Condition
from vaka_operator.cluster import Cluster
from vaka_operator.config import Config
from vaka_operator.doorbell import Doorbell
from vaka_operator.manifests.meta import JSON
from vaka_operator.scaling import History
from vaka_operator.status.conditions import Finding
from vaka_operator.status.events import event, news
from vaka_operator.status.routers import RouterState

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Memory:
    """What the routers of a service counted lately. It is lost with the operator, which then waits longer."""

    history: History = field(default_factory=History)
    step: tuple[str | None, int | None, str | None] | None = None
    """Of the canary: which it is, its part of the traffic, and since when."""
    before: dict[str, RouterState] = field(default_factory=dict)
    """What each router said when that step began."""
    compared: dict[str, ShadowReport] = field(default_factory=dict)
    """What each pod of the predictor said of its shadow then."""

    def begin(
        self,
        canary: CanaryStatus,
        states: Mapping[str, RouterState | None],
        shadows: dict[str, ShadowReport],
    ) -> None:
        """Count from now on, if it came to another step since this was asked last."""
        step = (canary.target, canary.step, canary.step_since)
        if self.step != step:
            self.step = step
            self.before = {name: state for name, state in states.items() if state}
            self.compared = shadows


@dataclass(frozen=True, kw_only=True)
class World:
    cluster: Cluster
    config: Config
    memories: dict[tuple[str, str], Memory] = field(default_factory=dict)
    """Of each service, by its namespace and name."""
    doorbell: Doorbell | None = None
    """Without one, services that sleep are looked at again and again."""


@dataclass(frozen=True)
class Outcome:
    """What a reconcile led to: the object's state, and when to look again at the latest."""

    state: str | None
    """None for an object that is gone."""
    again_s: float | None = None


GONE = Outcome(None)
SOON_S = 1.0
"""How often what no event tells of is looked at: reports, claims, refusals."""
LATER_S = 10.0
"""The same, where an event will most likely tell."""
TOLD_BY_EVENTS = {
    Reason.INVALID_SPEC,
    Reason.UNSCHEDULABLE,
    Reason.IMAGE_PULL_FAILED,
    Reason.SECRET_MISSING,
    Reason.CONTAINER_REFUSED,
    Reason.CRASH_LOOP,
    Reason.RESTARTING,
    Reason.QUEUED,
    Reason.WAITING_FOR_TRAINING_JOB,
    Reason.TRAINING_JOB_NOT_FOUND,
    Reason.TRAINING_JOB_FAILED,
}


def pause(finding: Finding) -> float:
    """How long to wait before looking again at what is under way."""
    return LATER_S if finding.reason in TOLD_BY_EVENTS else SOON_S


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def publish(
    world: World,
    resource: JSON,
    status: TrainingJobStatus | InferenceServiceStatus,
    *,
    before: list[Condition],
    more: Sequence[Finding] = (),
) -> None:
    """Write the status if it differs from the one read, with an event for each reason that is new, and more.

    Events go first and are named after what was read, so that being killed in between loses nothing
    and tells nothing twice.
    """
    new = msgspec.to_builtins(status)
    if new == resource.get("status"):
        return
    meta = resource["metadata"]
    for finding in [*news(before, status.conditions), *more]:
        where = (resource["kind"], meta["namespace"], meta["name"])
        logger.info("%s %s/%s: %s: %s", *where, finding.reason, finding.message)
        told = event(resource, finding, instance=world.config.instance, now=now())
        await world.cluster.record(told)
    await world.cluster.write_status(resource, new)

"""The pods of one Job by their index: who runs, and who holds up the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from vaka_operator.manifests.environment import INDEX
from vaka_operator.manifests.job import TRAINER
from vaka_operator.manifests.meta import JSON
from vaka_operator.status import pods as podstatus


@dataclass(frozen=True, kw_only=True)
class Group:
    """All pods that a Job made and that are still there."""

    pods: Sequence[JSON]
    size: int
    """How many shall train together."""
    need: int
    """How many are enough to train."""

    @cached_property
    def current(self) -> list[JSON]:
        """The newest pod of each index, in their order."""
        found = [podstatus.newest(pods) for _, pods in sorted(self._by_index.items())]
        return [pod for pod in found if pod is not None]

    @cached_property
    def running(self) -> list[JSON]:
        return [pod for pod in self.current if podstatus.running_since(pod, TRAINER)]

    @property
    def enough(self) -> bool:
        return len(self.running) >= self.need

    @cached_property
    def held_up(self) -> JSON | None:
        """The pod that tells best why not all run; None where those that are missing are not even made."""
        pending = [p for p in self.current if podstatus.phase(p) == "Pending" and p not in self.running]
        # Pods with a gate wait for those that are not made.
        waiting = [pod for pod in pending if not pod.get("spec", {}).get("schedulingGates")]
        return min(waiting, key=podstatus.is_only_starting, default=None)

    @property
    def failures(self) -> int:
        """How often the pod of one index failed, at most; one that is being deleted was broken off."""
        ends = (
            [podstatus.outcome(pod, TRAINER) for pod in pods if not podstatus.is_going(pod)]
            for pods in self._by_index.values()
        )
        return max((outcomes.count("Failed") for outcomes in ends), default=0)

    @property
    def attendance(self) -> str:
        return f"{len(self.running)} of {self.size} pods run"

    @cached_property
    def _by_index(self) -> dict[int, list[JSON]]:
        result: dict[int, list[JSON]] = {}
        for pod in self.pods:
            result.setdefault(_index(pod), []).append(pod)
        return result


def _index(pod: JSON) -> int:
    return int(pod["metadata"].get("annotations", {}).get(INDEX, 0))

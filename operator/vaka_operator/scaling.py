"""How many pods a predictor shall have, from what its routers count. Pure: times are given, in seconds.

CPU is left to Kubernetes' own HorizontalPodAutoscaler; this counts requests in flight and requests a second,
by the same formula (https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/),
and knows zero pods.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from vaka.api.inferenceservice import PredictorSpec

TOLERANCE = 0.1
"""So far may the metric be from its target before the number of pods changes."""
AVERAGE_S = 6.0
"""Over so long the metric is averaged, for one sample says little."""
DEFAULT_TARGETS = {"cpu": 80, "concurrency": 4}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What all routers of a service count together."""

    in_flight: int
    """Requests that wait for the predictor or are being answered."""
    rate: int
    """Requests of the last second."""
    idle_s: int
    """Since the last request that came."""


@dataclass
class History:
    """What was seen and recommended lately. It is lost with the operator: then pods are kept for longer."""

    since: float | None = None
    samples: deque[tuple[float, float]] = field(default_factory=deque)
    recommended: deque[tuple[float, int]] = field(default_factory=deque)

    def average(self, now: float, value: float) -> float:
        """The mean of the samples that are not too old, this one included."""
        self.samples.append((now, value))
        while self.samples[0][0] < now - AVERAGE_S:
            self.samples.popleft()
        return sum(value for _, value in self.samples) / len(self.samples)

    def most(self, now: float, value: int, *, within: float) -> int:
        """The greatest recommendation of the last `within` seconds, this one included."""
        self.recommended.append((now, value))
        while self.recommended[0][0] < now - within:
            self.recommended.popleft()
        return max(value for _, value in self.recommended)


def is_counted(spec: PredictorSpec) -> bool:
    """Whether the operator itself decides, from what routers count."""
    return spec.scales and spec.scale_metric != "cpu"


def target(spec: PredictorSpec) -> int:
    """What one pod should have of the metric."""
    own = spec.container_concurrency if spec.scale_metric == "concurrency" else None
    return spec.scale_target or own or DEFAULT_TARGETS[spec.scale_metric]


def replicas(spec: PredictorSpec, live: int | None, load: Load | None, history: History, now: float) -> int:
    """How many pods there shall be.

    Args:
        spec: of the predictor.
        live: how many its Deployment asks for, None where there is none yet.
        load: None where no router answers: then nothing changes.
        history: of this service; it is added to.
        now: monotonic time.
    """
    least, most = max(spec.min_replicas, 1), spec.most_replicas
    if live is None:  # with a pod, also where zero would do: whether the model loads is seen at once
        return least
    if spec.min_replicas == 0 and _sleeps(spec, live, load):
        return 0
    if live == 0:
        return least
    kept = min(max(live, least), most)
    if load is None or not is_counted(spec):
        return kept
    history.since = now if history.since is None else history.since
    value = load.in_flight if spec.scale_metric == "concurrency" else load.rate
    wanted = recommended(spec, kept, history.average(now, value))
    lately = history.most(now, wanted, within=spec.scale_down_delay)
    is_known = now - history.since >= spec.scale_down_delay
    return lately if lately > kept or is_known else kept


def recommended(spec: PredictorSpec, current: int, value: float) -> int:
    """The number of pods whose metric would be at its target, within the bounds of the spec."""
    ratio = value / (target(spec) * current)
    wanted = current if abs(ratio - 1) <= TOLERANCE + 1e-9 else math.ceil(ratio * current - 1e-9)
    return min(max(wanted, spec.min_replicas, 1), spec.most_replicas)


def _sleeps(spec: PredictorSpec, live: int, load: Load | None) -> bool:
    if load is None:
        return live == 0
    if live == 0:
        return load.in_flight == 0
    return load.in_flight == 0 and load.idle_s >= spec.scale_down_delay

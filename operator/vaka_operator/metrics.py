"""What the operator counts, on a port of its own."""

import collections
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from vaka_operator.queue import Key

FAMILIES = {
    "TrainingJob": ("vaka_trainingjobs", "TrainingJobs by what their State column shows."),
    "InferenceService": ("vaka_inferenceservices", "InferenceServices by what their State column shows."),
}


class Metrics:
    """The operator's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._reconciles = Counter(
            "vaka_operator_reconcile_total",
            "Reconciles by kind and result (ok, conflict, ending, error).",
            ["kind", "result"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "vaka_operator_reconcile_duration_seconds",
            "Time that a reconcile took.",
            ["kind"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self._states: dict[Key, str] = {}

    def watch(self, *, depth: Callable[[], int]) -> None:
        """Expose the objects' states and the depth of the queue whenever they are asked for."""
        self.registry.register(_Population(self._states, depth))

    def state(self, key: Key, state: str | None) -> None:
        """The state of an object, None once it is gone."""
        if state is None:
            self._states.pop(key, None)
        else:
            self._states[key] = state

    def count(self, kind: str, result: str) -> None:
        self._reconciles.labels(kind, result).inc()

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        with self._seconds.labels(kind).time():
            yield


class _Population(Collector):
    def __init__(self, states: dict[Key, str], depth: Callable[[], int]) -> None:
        self._states = states
        self._depth = depth

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "vaka_operator_queue_depth", "Objects that wait to be reconciled.", value=self._depth()
        )
        # Counted from a copy: the metrics are asked for in another thread.
        counts = collections.Counter((key.kind, state) for key, state in list(self._states.items()))
        for kind, (name, text) in FAMILIES.items():
            family = GaugeMetricFamily(name, text, labels=["state"])
            for (of_kind, state), count in sorted(counts.items()):
                if of_kind == kind:
                    family.add_metric([state], count)
            yield family

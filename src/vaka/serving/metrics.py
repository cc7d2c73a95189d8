"""What the server counts, in Prometheus' naming."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.registry import Collector

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one server in the registry that it is given; labels take few values, all known."""

    def __init__(self, registry: CollectorRegistry, model_info: Callable[[], dict[str, str]]) -> None:
        self.registry = registry
        self.requests = Counter(
            "vaka_server_requests_total",
            "Inference requests answered.",
            ["protocol", "code"],
            registry=registry,
        )
        self.duration = Histogram(
            "vaka_server_request_duration_seconds",
            "Time from a request's headers to its answer.",
            ["protocol"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.inference = Histogram(
            "vaka_server_inference_duration_seconds",
            "Time that the model takes, without waiting for it.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "vaka_server_requests_in_flight", "Inference requests being answered.", registry=registry
        )
        registry.register(_ModelInfo(model_info))
        ProcessCollector(registry=registry)

    @contextmanager
    def request(self, protocol: str) -> Iterator["Outcome"]:
        """Count one request; whoever answers it sets the code of the outcome."""
        outcome = Outcome()
        start = perf_counter()
        self.in_flight.inc()
        try:
            yield outcome
        finally:
            self.in_flight.dec()
            self.duration.labels(protocol).observe(perf_counter() - start)
            self.requests.labels(protocol, outcome.code).inc()


class Outcome:
    """How a request ended: an HTTP status or a gRPC code."""

    code: str = "500"


class _ModelInfo(Collector):
    def __init__(self, model_info: Callable[[], dict[str, str]]) -> None:
        self._model_info = model_info

    def collect(self) -> Iterator[InfoMetricFamily]:
        family = InfoMetricFamily("vaka_server_model", "The model that is served.")
        if info := self._model_info():
            family.add_metric([], info)
        yield family

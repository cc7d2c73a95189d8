"""What the server counts, in Prometheus' naming: one number for all of its processes."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from vaka.api.contract import ShadowReport
from vaka.serving.board import Board
from vaka.serving.columns import (
    BATCH,
    DURATIONS,
    IN_FLIGHT,
    INFERENCE,
    OTHER,
    PID,
    REQUESTS,
    TAPPED,
    WAIT,
    Histogram,
)


class Metrics:
    """One process's counters, and what all of them add up to."""

    def __init__(self, board: Board, number: int, model_info: Callable[[], list[dict[str, str]]]) -> None:
        self._row = board.row(number)
        self._board = board
        self.registry = CollectorRegistry()
        self.registry.register(_Served(board))
        self.registry.register(_ModelInfo(model_info))
        self.registry.register(_Processes(board))

    def begin(self) -> None:
        """A request has come."""
        self._row[IN_FLIGHT] += 1

    def end(self, protocol: str, code: str, seconds: float) -> None:
        """It was answered."""
        row = self._row
        row[IN_FLIGHT] -= 1
        row[REQUESTS.get((protocol, code)) or REQUESTS[protocol, OTHER]] += 1
        DURATIONS[protocol].observe(row, seconds)

    def batch(self, rows: int, took: float, waited: float) -> None:
        """The model has run."""
        INFERENCE.observe(self._row, took)
        WAIT.observe(self._row, max(0.0, waited))
        BATCH.observe(self._row, rows)

    def shadowed(self) -> ShadowReport | None:
        """What comparing with the shadow came to; None where nothing was compared."""
        agreed, disagreed = (int(self._board.sum(TAPPED["shadow", r])) for r in ("agree", "disagree"))
        compared = agreed + disagreed
        return ShadowReport(agreed=agreed, compared=compared) if compared else None

    def tapped(self, tap: str, result: str) -> None:
        """A tap, "shadow" or "payloads", tells what became of an exchange."""
        self._row[TAPPED[tap, result]] += 1


class _Served(Collector):
    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        board = self._board
        requests = CounterMetricFamily(
            "vaka_server_requests", "Inference requests answered.", labels=["protocol", "code"]
        )
        for labels, column in REQUESTS.items():
            if count := board.sum(column):
                requests.add_metric(labels, count)
        yield requests
        durations = HistogramMetricFamily(
            "vaka_server_request_duration_seconds",
            "Time from a whole request to its answer.",
            labels=["protocol"],
        )
        for protocol, histogram in DURATIONS.items():
            durations.add_metric([protocol], histogram.buckets(board), board.sum(histogram.total))
        yield durations
        yield _family(
            "vaka_server_inference_duration_seconds", "Time of the model for a batch.", INFERENCE, board
        )
        yield _family("vaka_server_queue_duration_seconds", "Wait of a batch for the model.", WAIT, board)
        yield _family("vaka_server_batch_size", "Rows of a batch.", BATCH, board)
        yield from _taps(board)
        yield GaugeMetricFamily(
            "vaka_server_requests_in_flight", "Inference requests being answered.", board.sum(IN_FLIGHT)
        )


def _taps(board: Board) -> Iterator[Metric]:
    families = {
        "shadow": CounterMetricFamily(
            "vaka_server_shadow_comparisons", "Answers compared with the shadow's.", labels=["result"]
        ),
        "payloads": CounterMetricFamily(
            "vaka_server_payloads", "Requests and answers for the payload log.", labels=["result"]
        ),
    }
    for (tap, result), column in TAPPED.items():
        families[tap].add_metric([result], board.sum(column))
    yield from (family for family in families.values() if any(s.value for s in family.samples))


def _family(name: str, said: str, histogram: Histogram, board: Board) -> HistogramMetricFamily:
    return HistogramMetricFamily(
        name, said, buckets=histogram.buckets(board), sum_value=board.sum(histogram.total)
    )


class _ModelInfo(Collector):
    def __init__(self, model_info: Callable[[], list[dict[str, str]]]) -> None:
        self._model_info = model_info

    def collect(self) -> Iterator[Metric]:
        family = InfoMetricFamily("vaka_server_model", "The versions of the model that are served.")
        for info in self._model_info():
            family.add_metric([], info)
        yield family


class _Processes(Collector):
    """Prometheus' own process metrics, added up over all processes; they began at about the same time."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for metric in chain.from_iterable(map(_process, filter(None, self._board.column(PID)))):
            (sample,) = metric.samples
            if metric.name in found and metric.name != "process_start_time_seconds":
                (before,) = found[metric.name].samples
                metric.samples = [sample._replace(value=before.value + sample.value)]
            found[metric.name] = metric
        yield from found.values()


def _process(pid: float) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: int(pid), registry=CollectorRegistry()).collect()

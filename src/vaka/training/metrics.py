"""The report as Prometheus metrics, `vaka_training_*` in base units."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from vaka.training.report import Reporter


class TrainingCollector(Collector):
    """Reads the newest report at each scrape, so that both always agree."""

    def __init__(self, reporter: Reporter, labels: dict[str, str]) -> None:
        self._reporter = reporter
        self._labels = labels

    def collect(self) -> Iterable[Metric]:
        report = self._reporter.report
        labels = self._labels | {"reason": report.reason}
        yield InfoMetricFamily("vaka_training", "Which job this is and what it is doing.", labels)
        gauges = {
            "waiting": ("1 while something must come before training goes on.", report.waiting),
            "progress_ratio": ("Part of the training that is done.", _hundredth(report.progress_percentage)),
            "remaining_seconds": ("Estimated time until it is done.", report.estimated_remaining_seconds),
            "step": ("Optimizer steps that are done.", report.step),
            "epoch": ("Epochs that are done.", report.epoch),
        }
        gauges |= {_snake(m.name): (f"Newest {m.name}.", float(m.value)) for m in report.metrics}
        for name, (help_text, value) in gauges.items():
            if value is not None:
                yield GaugeMetricFamily(f"vaka_training_{name}", help_text, value=float(value))


def render(reporter: Reporter, labels: dict[str, str]) -> tuple[str, bytes]:
    """Content type and body of an answer to a scrape."""
    registry = CollectorRegistry()
    registry.register(TrainingCollector(reporter, labels))
    return CONTENT_TYPE_LATEST, generate_latest(registry)


def _hundredth(percentage: int | None) -> float | None:
    return None if percentage is None else percentage / 100


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)

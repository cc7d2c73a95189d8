"""Progress of a training on the terminal: a bar, or plain lines where it is not one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from vaka.api.contract import Report

LINE_SECONDS = 5.0


@contextmanager
def display(name: str) -> Iterator[Callable[[Report], None]]:
    """A function that shows a report on standard error."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield Lines(name).show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=100, text="")
        yield lambda report: bar.update(
            task, completed=report.progress_percentage or 0, text=describe(report)
        )


class Lines:
    """One line when what happens changes, and otherwise every few seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said = ""
        self._time = 0.0

    def show(self, report: Report) -> None:
        changed = report.reason + report.message != self._said
        if changed or monotonic() - self._time >= LINE_SECONDS:
            self._said, self._time = report.reason + report.message, monotonic()
            percent = "" if report.progress_percentage is None else f" {report.progress_percentage}%"
            news = report.message if changed and not report.waiting else ""
            print(f"{self._name}{percent} {news or describe(report)}", file=sys.stderr, flush=True)


def describe(report: Report) -> str:
    """The report in a few words."""
    if report.waiting or report.step is None or report.reason != "Training":
        return f"waiting: {report.message}" if report.waiting else report.message or report.reason
    values = {metric.name: float(metric.value) for metric in report.metrics}
    words = [f"step {report.step}", f"epoch {report.epoch}"]
    words += [f"{name} {values[name]:.4f}" for name in ("loss", "accuracy") if name in values]
    if report.estimated_remaining_seconds is not None:
        words.append(f"{duration(report.estimated_remaining_seconds)} left")
    return "  ".join(words)


def duration(seconds: float) -> str:
    """As people write it: 42s, 1m20s, 2h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"

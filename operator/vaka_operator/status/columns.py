"""What the printer columns of `kubectl get` show."""

from collections.abc import Sequence

from vaka.api.types import Metric


def progress(percentage: int | None) -> str | None:
    return None if percentage is None else f"{percentage}%"


def eta(seconds: int | None) -> str | None:
    """As kubectl writes ages: the two greatest units, such as 1m20s."""
    if seconds is None:
        return None
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def metric(metrics: Sequence[Metric]) -> str | None:
    """The accuracy where there is one, else what the trainer names first."""
    if not metrics:
        return None
    main = next((m for m in metrics if m.name == "accuracy"), metrics[0])
    try:
        return f"{main.name}={float(main.value):.4g}"
    except ValueError:
        return f"{main.name}={main.value}"

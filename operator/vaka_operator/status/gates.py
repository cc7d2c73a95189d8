"""Whether a canary goes on to its next step, by what the routers measured since it came to this one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from vaka.api.contract import ShadowReport
from vaka.api.inferenceservice import CanaryFigures, CanaryStatus
from vaka.api.router import CanaryGates
from vaka_operator.status.routers import Figures, RouterState

NOTHING = ShadowReport(agreed=0, compared=0)
PROGRESSING, PROMOTED, ROLLED_BACK, WAITING = "Progressing", "Promoted", "RolledBack", "Waiting"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a part has answered since a step began."""

    answers: int = 0
    errors: int = 0
    milliseconds: int = 0

    @property
    def error_rate(self) -> float:
        return self.errors / self.answers if self.answers else 0.0

    @property
    def mean_ms(self) -> float | None:
        return self.milliseconds / self.answers if self.answers else None


def measured(part: str, now: Mapping[str, RouterState | None], before: Mapping[str, RouterState]) -> Measured:
    """What all routers have counted for predictor or canary; one that is new began with nothing."""
    grown = [
        _grown(_figures(state, part), _figures(before.get(name), part))
        for name, state in now.items()
        if state
    ]
    return Measured(
        answers=sum(one.answers for one in grown),
        errors=sum(one.errors for one in grown),
        milliseconds=sum(one.milliseconds for one in grown),
    )


def compared(now: Mapping[str, ShadowReport], before: Mapping[str, ShadowReport]) -> ShadowReport:
    """What all pods of the predictor have compared since; one that is new began with nothing."""
    agreed = total = 0
    for name, shadow in now.items():
        began = before.get(name, NOTHING)
        began = began if began.compared <= shadow.compared else NOTHING
        agreed, total = agreed + shadow.agreed - began.agreed, total + shadow.compared - began.compared
    return ShadowReport(agreed=agreed, compared=total)


def is_tried(previous: CanaryStatus | None, *, target: str, serves: bool, newest: bool) -> bool:
    """Whether it is this very canary that answers: a former one goes on while the new one cannot be had.

    Args:
        previous: what was decided last.
        target: what stands for this very canary.
        serves: some pod is ready.
        newest: no pod is of a former kind, and the routers find them.
    """
    begun = previous is not None and previous.target == target and previous.phase != WAITING
    return serves and (begun or newest)


def decide(
    gates: CanaryGates,
    previous: CanaryStatus | None,
    *,
    target: str,
    serves: bool,
    predictor: Measured,
    canary: Measured,
    now: str,
    shadow: ShadowReport = NOTHING,
) -> CanaryStatus:
    """What the canary shall have now, and why.

    Args:
        gates: of the spec.
        previous: what was decided last.
        target: what stands for this very canary: another one begins anew.
        serves: some pod of this very canary is ready.
        predictor: what it has answered since the step began.
        canary: the same of the canary.
        now: RFC 3339, UTC.
        shadow: how often it gave the predictor's answers since then.
    """
    if previous is None or previous.target != target or previous.step is None:
        previous = _with(_at(gates.steps[0], target=target, now=now), phase=WAITING)
    if previous.phase == ROLLED_BACK:
        return previous
    if not serves:
        told = "no pod of this very canary is ready"
        since = previous.step_since if previous.phase == WAITING else now
        return _with(previous, phase=WAITING, traffic_percent=0, step_since=since, message=told)
    if previous.phase == PROMOTED:
        return previous
    if previous.phase == WAITING:
        return _at(previous.step or gates.steps[0], target=target, now=now)
    figures = _figures_of(predictor, canary, shadow)
    if why := _violation(gates, predictor, canary) or _disagreement(gates, shadow):
        return _with(previous, phase=ROLLED_BACK, traffic_percent=0, figures=figures, message=why)
    waits = gates.min_agreement is not None and shadow.compared < gates.min_requests
    if waits or not _is_over(gates, previous, canary, now):
        return _with(previous, figures=figures, traffic_percent=previous.step, message=_told(canary, figures))
    return _advanced(gates, previous, figures, canary, now)


def _advanced(
    gates: CanaryGates, previous: CanaryStatus, figures: CanaryFigures, canary: Measured, now: str
) -> CanaryStatus:
    later = [step for step in gates.steps if step > (previous.step or 0)]
    told = f"passed {previous.step} % with {_told(canary, figures)}"
    if later:
        return _with(
            previous, traffic_percent=later[0], step=later[0], step_since=now, figures=figures, message=told
        )
    return _with(previous, phase=PROMOTED, traffic_percent=previous.step, figures=figures, message=told)


def _violation(gates: CanaryGates, predictor: Measured, canary: Measured) -> str | None:
    """Why the canary must lose its traffic: at once where later answers cannot make it good."""
    certain = canary.errors > gates.max_error_rate * gates.min_requests
    enough = canary.answers >= gates.min_requests
    if (enough or certain) and canary.error_rate > gates.max_error_rate:
        return (
            f"{canary.errors} of {canary.answers} answers were errors: "
            f"{canary.error_rate:.2%}, and gates.maxErrorRate is {gates.max_error_rate:.2%}"
        )
    ratio = _ratio(predictor, canary)
    if enough and predictor.answers and ratio is not None and ratio > gates.max_latency_ratio:
        return (
            f"it took {canary.mean_ms or 0:.1f} ms, {ratio:.2f} times the predictor's, "
            f"and gates.maxLatencyRatio is {gates.max_latency_ratio:g}"
        )
    return None


def _disagreement(gates: CanaryGates, shadow: ShadowReport) -> str | None:
    if gates.min_agreement is None or shadow.compared < gates.min_requests:
        return None
    share = shadow.agreed / shadow.compared
    if share >= gates.min_agreement:
        return None
    return (
        f"{shadow.agreed} of {shadow.compared} of its answers were the predictor's: "
        f"{share:.2%}, and gates.minAgreement is {gates.min_agreement:.2%}"
    )


def _is_over(gates: CanaryGates, previous: CanaryStatus, canary: Measured, now: str) -> bool:
    since = datetime.fromisoformat(previous.step_since or now)
    lasted = (datetime.fromisoformat(now) - since).total_seconds()
    return lasted >= gates.interval and canary.answers >= gates.min_requests


def _ratio(predictor: Measured, canary: Measured) -> float | None:
    if not predictor.mean_ms or canary.mean_ms is None:
        return None
    return canary.mean_ms / predictor.mean_ms


def _figures_of(predictor: Measured, canary: Measured, shadow: ShadowReport) -> CanaryFigures:
    ratio = _ratio(predictor, canary)
    some = shadow.compared > 0
    return CanaryFigures(
        requests=canary.answers,
        error_rate=f"{canary.error_rate:.4f}",
        latency_ratio=None if ratio is None else f"{ratio:.2f}",
        compared=shadow.compared if some else None,
        agreement=f"{shadow.agreed / shadow.compared:.4f}" if some else None,
    )


def _told(canary: Measured, figures: CanaryFigures) -> str:
    slower = f", {figures.latency_ratio} times the predictor's time" if figures.latency_ratio else ""
    return f"{canary.answers} requests, {canary.error_rate:.2%} errors{slower}"


def _at(step: int, *, target: str, now: str) -> CanaryStatus:
    return CanaryStatus(
        phase=PROGRESSING, traffic_percent=step, step=step, target=target, step_since=now, message="begun"
    )


def _with(previous: CanaryStatus, **changes: object) -> CanaryStatus:
    return msgspec.structs.replace(previous, **changes)


def _figures(state: RouterState | None, part: str) -> Figures:
    return Figures() if state is None else (state.canary if part == "canary" else state.predictor)


def _grown(now: Figures, before: Figures) -> Measured:
    if now.answers < before.answers:  # it began anew
        before = Figures()
    return Measured(
        answers=now.answers - before.answers,
        errors=now.errors - before.errors,
        milliseconds=now.milliseconds - before.milliseconds,
    )

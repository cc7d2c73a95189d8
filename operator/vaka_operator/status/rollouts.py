"""What of the traffic a canary has, and why. Pure."""

from vaka.api.inferenceservice import CanarySpec, CanaryStatus
from vaka.api.reasons import Reason
from vaka_operator.status.conditions import Finding
from vaka_operator.status.gates import PROMOTED, ROLLED_BACK

RETIRING = "Retiring"
_REASONS = {PROMOTED: Reason.CANARY_PROMOTED, ROLLED_BACK: Reason.CANARY_ROLLED_BACK}


def wanted(spec: CanarySpec, *, serves: bool) -> CanaryStatus:
    """What the canary shall have now: nothing while no pod of it is ready.

    Args:
        serves: some pod of it is ready.
    """
    if not serves:
        return CanaryStatus(phase="Waiting", traffic_percent=0, message="no pod of the canary is ready")
    return CanaryStatus(phase="Manual", traffic_percent=spec.traffic_percent or 0)


def retiring(previous: CanaryStatus | None, *, arrived: bool) -> CanaryStatus:
    """What a canary that has left the spec shall have: nothing, but one that has all traffic answers on until
    the predictor does in its place, for it has most likely been promoted (moved to spec.predictor).

    Args:
        arrived: the predictor is rolled out.
    """
    if previous and previous.traffic_percent == 100 and not arrived:
        told = "spec.canary is gone: it answers until the predictor is rolled out"
        return CanaryStatus(phase=RETIRING, traffic_percent=100, message=told)
    return CanaryStatus(phase=RETIRING, traffic_percent=0, message="spec.canary is gone: its pods end")


def in_force(percent: int | None, previous: CanaryStatus | None, *, routed: bool) -> int:
    """What the canary has, by what the routers say.

    Args:
        percent: what they say, None while they differ or do not answer.
        previous: what was told last.
        routed: all routers know of the canary and all requests go by them.
    """
    if routed and percent is not None:
        return percent
    return previous.traffic_percent if previous else 0


def finding(status: CanaryStatus | None) -> Finding | None:
    """What its gates have decided of a canary for good."""
    if status is None or status.phase not in _REASONS:
        return None
    return Finding(_REASONS[status.phase], f"canary: {status.message}")


def news(before: CanaryStatus | None, after: CanaryStatus | None) -> list[Finding]:
    """That a canary came to its next step; the end of its way is told by its condition."""
    if before is None or after is None or after.step is None or before.target != after.target:
        return []
    if before.step is None or after.step <= before.step:
        return []
    return [Finding(Reason.CANARY_STEP, f"canary: {after.message}: it gets {after.step} %")]

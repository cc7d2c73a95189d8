"""What the routers of a service say of themselves."""

from collections.abc import Mapping

import msgspec

from vaka_operator.scaling import Load


class Figures(msgspec.Struct, rename="camel", frozen=True):
    """Of one component, each by protocol: HTTP and gRPC."""

    in_flight: list[int] = []
    waiting: list[int] = []
    rate: list[int] = []
    up: list[int] = []
    """1 where the pods answer the router's own checks."""
    answers: int = 0
    errors: int = 0
    milliseconds: int = 0
    """Since the router started; answers that came from nowhere else but the other component are errors."""


class RouterState(msgspec.Struct, rename="camel", frozen=True):
    """GET /state of a router's admin port."""

    canary_percent: int
    idle_seconds: int
    predictor: Figures
    canary: Figures = Figures()


def load_of(states: Mapping[str, RouterState | None]) -> Load | None:
    """What all of them count together; None where one does not answer, for it may know more."""
    known = [state for state in states.values() if state]
    if not known or len(known) < len(states):
        return None
    return Load(
        in_flight=sum(sum(state.predictor.in_flight) for state in known),
        rate=sum(sum(state.predictor.rate) for state in known),
        idle_s=min(state.idle_seconds for state in known),
    )


def reach_canary(states: Mapping[str, RouterState | None]) -> bool:
    """Whether all routers find the canary's pods, by either protocol."""
    return bool(states) and all(
        state and state.canary.up and all(state.canary.up) for state in states.values()
    )


def percent_of(states: Mapping[str, RouterState | None]) -> int | None:
    """The canary's part of the traffic by all that answer; None while they differ, or none answers."""
    told = {state.canary_percent for state in states.values() if state}
    return told.pop() if len(told) == 1 else None

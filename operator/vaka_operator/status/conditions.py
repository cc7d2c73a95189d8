"""Findings, and the conditions that state them."""

from collections.abc import Iterable
from dataclasses import dataclass

from vaka.api.reasons import Reason
from vaka.api.types import Condition

LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Finding:
    """How something fares: a word for programs and a sentence that tells people what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That a condition holds, or does not, and why."""

    type: str
    holds: bool
    finding: Finding


def conditions(
    previous: Iterable[Condition], claims: Iterable[Claim], *, generation: int, now: str
) -> list[Condition]:
    """One condition for each claim; its transition time is kept while its status stays the same."""
    before = {condition.type: condition for condition in previous}
    return [_condition(before.get(claim.type), claim, generation=generation, now=now) for claim in claims]


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    condition = find(conditions, kind)
    return condition is not None and condition.status == "True"


def _condition(before: Condition | None, claim: Claim, *, generation: int, now: str) -> Condition:
    status = "True" if claim.holds else "False"
    unchanged = before is not None and before.status == status
    return Condition(
        type=claim.type,
        status=status,
        reason=claim.finding.reason,
        message=_shortened(claim.finding.message),
        last_transition_time=before.last_transition_time if before and unchanged else now,
        observed_generation=generation,
    )


def _shortened(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"

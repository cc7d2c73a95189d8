"""The status of an InferenceService."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vaka.api.inferenceservice import (
    Address,
    CanaryStatus,
    Components,
    InferenceServiceStatus,
    Scaling,
    TrafficTarget,
)
from vaka.api.reasons import Reason
from vaka.api.servedmodel import ResolvedModel
from vaka_operator.status import rollouts
from vaka_operator.status.conditions import Claim, Finding, conditions
from vaka_operator.status.predictor import Part, Verdict, component, judge


@dataclass(frozen=True, kw_only=True)
class Ingress:
    """The way from the public Service to the pods."""

    url: str
    router: Part | None = None
    """None where requests go straight to the pods."""
    leads: bool = True
    """The public Service leads to where it should."""
    obstacle: Finding | None = None
    """Why it cannot."""
    gateway: Finding | None = None
    """Why a Gateway does not lead to the service from outside."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of an InferenceService and its children at one moment."""

    previous: InferenceServiceStatus
    generation: int
    now: str
    predictor: Part
    ingress: Ingress
    canary: Part | None = None
    rollout: CanaryStatus | None = None
    """What of the traffic the canary has, and why."""
    scaling: Scaling | None = None
    models: list[ResolvedModel] = field(default_factory=list)
    """What references to TrainingJobs came to."""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """One for each part; people see first what cannot be made, then what is not well yet."""

    predictor: Verdict
    ingress: Verdict
    canary: Verdict | None = None
    reachable: bool = True
    """The public Service leads to pods that answer, if not to those that it should lead to."""

    @property
    def ready(self) -> Verdict:
        """Whether predictions are answered, and what is not as it should be."""
        asleep = self.predictor.finding.reason is Reason.SCALED_TO_ZERO
        answered = (self.predictor.serving or asleep) and self.reachable
        by_weight = sorted(self, key=lambda verdict: not verdict.blocked)
        telling = next((v for v in by_weight if not v.settled), self.predictor)
        return replace(telling, serving=answered)

    def __iter__(self) -> Iterator[Verdict]:
        yield from (v for v in (self.predictor, self.ingress, self.canary) if v)


def verdicts_of(seen: Seen) -> Verdicts:
    inside = _ingress(seen.ingress)
    outside = seen.ingress.gateway if inside.settled else None
    return Verdicts(
        predictor=judge(seen.predictor),
        ingress=Verdict(serving=False, finding=outside) if outside else inside,
        reachable=inside.serving or not (seen.ingress.leads or seen.ingress.obstacle),
        canary=_canary(seen.canary, seen.rollout) if seen.canary else None,
    )


def status_of(seen: Seen, verdicts: Verdicts) -> InferenceServiceStatus:
    """The status that tells what was seen."""
    ready, predictor = verdicts.ready, component(seen.predictor, verdicts.predictor)
    return InferenceServiceStatus(
        observed_generation=seen.generation,
        state=ready.finding.reason,
        conditions=conditions(
            seen.previous.conditions, _claims(verdicts), generation=seen.generation, now=seen.now
        ),
        url=seen.ingress.url,
        address=Address(url=seen.ingress.url),
        replicas=predictor.replicas,
        models=seen.models,
        model_status=predictor.model_status,
        components=_components(seen, verdicts),
        traffic=_traffic(seen),
        canary=seen.rollout,
        scaling=seen.scaling,
    )


def _claims(verdicts: Verdicts) -> list[Claim]:
    asleep = verdicts.predictor.finding.reason is Reason.SCALED_TO_ZERO
    predictor = replace(verdicts.predictor, serving=verdicts.predictor.serving or asleep)
    told = {
        "Ready": verdicts.ready,
        "PredictorReady": predictor,
        "IngressReady": verdicts.ingress,
        "CanaryPredictorReady": verdicts.canary,
    }
    return [Claim(type=kind, holds=v.serving, finding=v.finding) for kind, v in told.items() if v]


def _ingress(ingress: Ingress) -> Verdict:
    if ingress.router is None and not ingress.leads and not ingress.obstacle:
        told = "the Service leads to the router until the pods answer"
        return Verdict(serving=True, finding=Finding(Reason.ROLLING_OUT, told))
    if ingress.router is None:
        finding = ingress.obstacle or Finding(Reason.READY, "the Service leads to the pods")
        return Verdict(
            serving=ingress.obstacle is None, finding=finding, blocked=ingress.obstacle is not None
        )
    if ingress.obstacle:
        return Verdict(serving=ingress.leads, finding=ingress.obstacle, blocked=True)
    router = _named("router", judge(ingress.router))
    if not ingress.leads and router.settled:
        return Verdict(serving=False, finding=Finding(Reason.ROLLING_OUT, "the Service turns to the router"))
    return replace(router, serving=router.serving and ingress.leads)


def _canary(canary: Part, rollout: CanaryStatus | None) -> Verdict:
    verdict = _named("canary", judge(canary))
    decided = rollouts.finding(rollout)
    if decided is None or not verdict.settled:
        return verdict
    return replace(verdict, finding=decided, serving=decided.reason is Reason.CANARY_PROMOTED)


def _named(name: str, verdict: Verdict) -> Verdict:
    return replace(verdict, finding=Finding(verdict.finding.reason, f"{name}: {verdict.finding.message}"))


def _components(seen: Seen, verdicts: Verdicts) -> Components:
    router = seen.ingress.router
    return Components(
        predictor=component(seen.predictor, verdicts.predictor),
        canary=component(seen.canary, verdicts.canary) if seen.canary and verdicts.canary else None,
        router=component(router, verdicts.ingress) if router else None,
    )


def _traffic(seen: Seen) -> list[TrafficTarget]:
    """Who answers which part of the requests now."""
    percent = seen.rollout.traffic_percent if seen.rollout else 0
    targets = {"predictor": (seen.predictor, 100 - percent), "canary": (seen.canary, percent)}
    return [
        TrafficTarget(
            component=name,
            percent=part_of_traffic,
            uri=part.model.uri if part.model else None,
            digest=part.model.digest if part.model else None,
        )
        for name, (part, part_of_traffic) in targets.items()
        if part
    ]

"""The status of an InferenceService."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vaka.api.contract import LABEL_DIGEST, Report
from vaka.api.inferenceservice import (
    Address,
    InferenceServiceStatus,
    LoadFailure,
    ModelStates,
    PredictorSpec,
    Replicas,
    ServedModelStatus,
)
from vaka.api.reasons import Reason
from vaka.api.servedmodel import ResolvedModel
from vaka_operator.manifests.deployment import SERVER
from vaka_operator.manifests.meta import JSON
from vaka_operator.manifests.models import Model
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Claim, Finding, conditions

UNLOADABLE = {
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_INVALID,
    Reason.DIGEST_MISMATCH,
    Reason.STORAGE_UNREACHABLE,
    Reason.CRASH_LOOP,
    Reason.OUT_OF_MEMORY,
}
"""What keeps a model from being loaded by pods that do run."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of an InferenceService and its children at one moment."""

    spec: PredictorSpec
    previous: InferenceServiceStatus
    url: str
    generation: int
    now: str
    model: Model | None = None
    """The model to serve, None while none is known."""
    models: list[ResolvedModel] = field(default_factory=list)
    """What references to TrainingJobs came to."""
    deployment: JSON | None = None
    pods: Sequence[JSON] = ()
    reports: Mapping[str, Report | None] = field(default_factory=dict)
    """Of the pods that run and are not ready, by name."""
    claims: Mapping[str, JSON | None] = field(default_factory=dict)
    """The claim that the pods mount; None for one that does not exist."""
    events: Sequence[JSON] = ()
    """Of the newest pod that does not run yet."""
    obstacle: Finding | None = None
    """Why the Deployment is not as it should be."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    serving: bool
    finding: Finding
    ended: podstatus.Ended | None = None
    pod: str | None = None

    @property
    def settled(self) -> bool:
        """Nothing is under way that would not wake us."""
        return self.finding.reason is Reason.READY


def unready(pods: Sequence[JSON]) -> list[JSON]:
    """The pods that shall serve and do not."""
    return [pod for pod in pods if not podstatus.is_ready(pod) and not podstatus.is_going(pod)]


def status_of(seen: Seen) -> tuple[InferenceServiceStatus, Verdict]:
    """The status that tells what was seen, and the verdict that it states."""
    verdict = judge(seen)
    kinds = ("Ready", "PredictorReady")
    claims = [Claim(type=kind, holds=verdict.serving, finding=verdict.finding) for kind in kinds]
    status = InferenceServiceStatus(
        observed_generation=seen.generation,
        state=verdict.finding.reason,
        conditions=conditions(seen.previous.conditions, claims, generation=seen.generation, now=seen.now),
        url=seen.url,
        address=Address(url=seen.url),
        replicas=_replicas(seen),
        models=seen.models,
        model_status=_model_status(seen, verdict),
    )
    return status, verdict


def judge(seen: Seen) -> Verdict:
    """Whether predictions are answered, and what keeps the service from being as it should be."""
    serving = _count(seen, "readyReplicas") > 0
    if seen.obstacle:
        return Verdict(serving=serving, finding=seen.obstacle)
    if _rolled_out(seen):
        told = f"{_count(seen, 'readyReplicas')} of {seen.spec.min_replicas} pods serve {_uri(seen)}"
        return Verdict(serving=True, finding=Finding(Reason.READY, told + _origin(seen)))
    if refused := _refused(seen):
        return Verdict(serving=serving, finding=refused)
    pod = podstatus.newest(unready(seen.pods))
    if pod is None:
        going = Finding(Reason.ROLLING_OUT, "the Deployment is about to replace its pods")
        return Verdict(serving=serving, finding=going)
    finding, ended = _diagnosis(seen, pod)
    return Verdict(serving=serving, finding=finding, ended=ended, pod=pod["metadata"]["name"])


def _uri(seen: Seen) -> str | None:
    return seen.model.uri if seen.model else None


def _origin(seen: Seen) -> str:
    """How a model that a job has published may change."""
    model = next((m for m in seen.models if m.name == "predictor"), None)
    if model is None:
        return ""
    return f", pinned to the result of {model.ref}" if model.pinned else f", following {model.ref}"


def _count(seen: Seen, field: str) -> int:
    return int((seen.deployment or {}).get("status", {}).get(field, 0))


def _rolled_out(seen: Seen) -> bool:
    """Every pod, and no other, is of the newest kind and ready."""
    if seen.deployment is None:
        return False
    observed = _count(seen, "observedGeneration") >= seen.deployment["metadata"].get("generation", 0)
    counts = {_count(seen, name) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return observed and counts == {seen.spec.min_replicas}


def _refused(seen: Seen) -> Finding | None:
    for condition in (seen.deployment or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Finding(Reason.POD_REFUSED, f"the namespace refuses a pod: {condition.get('message', '')}")
    return None


def _diagnosis(seen: Seen, pod: JSON) -> tuple[Finding, podstatus.Ended | None]:
    name = pod["metadata"]["name"]
    report = seen.reports.get(name)
    if report and report.reason == Reason.READY:
        return Finding(Reason.LOADING_MODEL, "the model is loaded, the pod is about to be ready"), None
    if report:
        return Finding(podstatus.reason(report.reason, Reason.LOADING_MODEL), report.message), None
    if ended := podstatus.last_ending(pod, SERVER):
        return _crash(ended), ended
    if podstatus.running_since(pod, SERVER):
        return Finding(Reason.LOADING_MODEL, "the server has started and loads its model"), None
    return podstatus.obstacle(pod, claims=seen.claims, events=seen.events), None


def _crash(ended: podstatus.Ended) -> Finding:
    if ended.finding.reason is not Reason.TRAINER_FAILED:
        return ended.finding
    return Finding(Reason.CRASH_LOOP, f"{ended.finding.message}; it is started again and again")


def _replicas(seen: Seen) -> Replicas:
    return Replicas(
        desired=seen.spec.min_replicas,
        ready=_count(seen, "readyReplicas"),
        updated=_count(seen, "updatedReplicas"),
    )


def _model_status(seen: Seen, verdict: Verdict) -> ServedModelStatus:
    return ServedModelStatus(
        transition_status=_transition(verdict),
        states=ModelStates(
            active_model_state="Loaded" if verdict.serving else None,
            target_model_state=_target_state(verdict),
        ),
        uri=_uri(seen),
        digest=seen.model.digest if seen.model else None,
        active_digest=_active_digest(seen),
        last_failure_info=_load_failure(verdict),
    )


def _active_digest(seen: Seen) -> str | None:
    """Of the newest pod that answers, where that is not the model that is to be served."""
    pod = podstatus.newest([pod for pod in seen.pods if podstatus.is_ready(pod)])
    digest = pod and pod["metadata"].get("annotations", {}).get(LABEL_DIGEST)
    return digest if digest and not (seen.model and digest == seen.model.digest) else None


def _transition(verdict: Verdict) -> str:
    if verdict.finding.reason is Reason.INVALID_SPEC:
        return "InvalidSpec"
    if verdict.finding.reason in UNLOADABLE:
        return "BlockedByFailedLoad"
    return "UpToDate" if verdict.settled else "InProgress"


def _target_state(verdict: Verdict) -> str:
    if verdict.settled:
        return "Loaded"
    if verdict.finding.reason in UNLOADABLE:
        return "FailedToLoad"
    return "Loading" if verdict.finding.reason is Reason.LOADING_MODEL else "Pending"


def _load_failure(verdict: Verdict) -> LoadFailure | None:
    if verdict.finding.reason not in UNLOADABLE:
        return None
    return LoadFailure(
        reason=verdict.finding.reason,
        message=verdict.finding.message,
        pod=verdict.pod,
        exit_code=verdict.ended.exit_code if verdict.ended else None,
    )

"""How one Deployment of a service fares: the predictor's, the canary's or the router's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vaka.api.contract import LABEL_DIGEST, Report
from vaka.api.inferenceservice import (
    ComponentStatus,
    LoadFailure,
    ModelStates,
    Replicas,
    ServedModelStatus,
)
from vaka.api.reasons import Reason
from vaka.api.servedmodel import ResolvedModel
from vaka_operator.manifests.deployment import SERVER
from vaka_operator.manifests.meta import JSON
from vaka_operator.manifests.models import Model
from vaka_operator.status import pods as podstatus
from vaka_operator.status.conditions import Finding

UNLOADABLE = {
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_INVALID,
    Reason.DIGEST_MISMATCH,
    Reason.STORAGE_UNREACHABLE,
    Reason.CRASH_LOOP,
    Reason.OUT_OF_MEMORY,
}
"""What keeps a model from being loaded by pods that do run."""
SETTLED = {Reason.READY, Reason.SCALED_TO_ZERO, Reason.CANARY_PROMOTED, Reason.CANARY_ROLLED_BACK}
"""Where nothing is under way that would not wake us."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is known of one Deployment of a service at one moment."""

    replicas: int
    """How many pods there shall be."""
    container: str = SERVER
    model: Model | None = None
    """The model to serve, None while none is known, and for the router."""
    origin: ResolvedModel | None = None
    """What its reference to a TrainingJob came to, where it has one."""
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
    """Some pod answers."""
    finding: Finding
    ended: podstatus.Ended | None = None
    pod: str | None = None
    blocked: bool = False
    """Something cannot be made as it should be."""

    @property
    def settled(self) -> bool:
        """Nothing is under way that would not wake us."""
        return self.finding.reason in SETTLED


def unready(pods: Sequence[JSON]) -> list[JSON]:
    """The pods that shall serve and do not."""
    return [pod for pod in pods if not podstatus.is_ready(pod) and not podstatus.is_going(pod)]


def judge(part: Part) -> Verdict:
    """Whether the part answers, and what keeps it from being as it should be."""
    serving = _count(part, "readyReplicas") > 0
    if part.obstacle:
        return Verdict(serving=serving, finding=part.obstacle, blocked=True)
    if is_rolled_out(part.deployment, part.replicas):
        return Verdict(serving=serving, finding=_settled(part))
    if refused := _refused(part):
        return Verdict(serving=serving, finding=refused)
    pod = podstatus.newest(unready(part.pods))
    if pod is None:
        going = Finding(Reason.ROLLING_OUT, "the Deployment is about to replace its pods")
        return Verdict(serving=serving, finding=going)
    finding, ended = _diagnosis(part, pod)
    return Verdict(serving=serving, finding=finding, ended=ended, pod=pod["metadata"]["name"])


def component(part: Part, verdict: Verdict) -> ComponentStatus:
    """The part as status.components shows it."""
    replicas = Replicas(
        desired=part.replicas,
        ready=_count(part, "readyReplicas"),
        updated=_count(part, "updatedReplicas"),
    )
    is_server = part.container == SERVER
    return ComponentStatus(
        replicas=replicas, model_status=_model_status(part, verdict) if is_server else None
    )


def _settled(part: Part) -> Finding:
    if part.replicas == 0:
        return Finding(Reason.SCALED_TO_ZERO, "no pods run: the next request starts one and waits for it")
    told = f"{part.replicas} of {part.replicas} pods "
    return Finding(
        Reason.READY, told + (f"serve {part.model.uri}{_origin(part.origin)}" if part.model else "are ready")
    )


def _origin(model: ResolvedModel | None) -> str:
    """How a model that a job has published may change."""
    if model is None:
        return ""
    return f", pinned to the result of {model.ref}" if model.pinned else f", following {model.ref}"


def _count(part: Part, name: str) -> int:
    return int((part.deployment or {}).get("status", {}).get(name, 0))


def is_rolled_out(deployment: JSON | None, replicas: int) -> bool:
    """Every pod, and no other, is of the newest kind and ready."""
    status: JSON = (deployment or {}).get("status", {})
    return is_of_one_kind(deployment) and replicas == status.get("replicas", 0) == status.get(
        "readyReplicas", 0
    )


def is_of_one_kind(deployment: JSON | None) -> bool:
    """No pod of a former kind is left."""
    if deployment is None:
        return False
    status: JSON = deployment.get("status", {})
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(observed and status.get("replicas", 0) == status.get("updatedReplicas", 0))


def _refused(part: Part) -> Finding | None:
    for condition in (part.deployment or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Finding(Reason.POD_REFUSED, f"the namespace refuses a pod: {condition.get('message', '')}")
    return None


def _diagnosis(part: Part, pod: JSON) -> tuple[Finding, podstatus.Ended | None]:
    report = part.reports.get(pod["metadata"]["name"])
    if report and report.reason == Reason.READY:
        return Finding(Reason.LOADING_MODEL, "the model is loaded, the pod is about to be ready"), None
    if report:
        return Finding(podstatus.reason(report.reason, Reason.LOADING_MODEL), report.message), None
    if ended := podstatus.last_ending(pod, part.container):
        return _crash(ended), ended
    if part.container == SERVER and podstatus.running_since(pod, SERVER):
        return Finding(Reason.LOADING_MODEL, "the server has started and loads its model"), None
    return podstatus.obstacle(pod, claims=part.claims, events=part.events), None


def _crash(ended: podstatus.Ended) -> Finding:
    if ended.finding.reason is not Reason.TRAINER_FAILED:
        return ended.finding
    return Finding(Reason.CRASH_LOOP, f"{ended.finding.message}; it is started again and again")


def _model_status(part: Part, verdict: Verdict) -> ServedModelStatus:
    return ServedModelStatus(
        transition_status=_transition(verdict),
        states=ModelStates(
            active_model_state="Loaded" if verdict.serving else None,
            target_model_state=_target_state(verdict),
        ),
        uri=part.model.uri if part.model else None,
        digest=part.model.digest if part.model else None,
        active_digest=_active_digest(part),
        last_failure_info=_load_failure(verdict),
    )


def _active_digest(part: Part) -> str | None:
    """Of the newest pod that answers, where that is not the model that is to be served."""
    pod = podstatus.newest([pod for pod in part.pods if podstatus.is_ready(pod)])
    digest = pod and pod["metadata"].get("annotations", {}).get(LABEL_DIGEST)
    return digest if digest and not (part.model and digest == part.model.digest) else None


def _transition(verdict: Verdict) -> str:
    if verdict.finding.reason is Reason.INVALID_SPEC:
        return "InvalidSpec"
    if verdict.finding.reason in UNLOADABLE:
        return "BlockedByFailedLoad"
    return "UpToDate" if verdict.settled else "InProgress"


def _target_state(verdict: Verdict) -> str:
    if verdict.finding.reason is Reason.READY:
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

"""What an InferenceService's status tells of what its Deployments and pods show."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vaka.api.contract import Report
from vaka.api.inferenceservice import CanaryStatus, InferenceServiceStatus
from vaka.api.reasons import Reason
from vaka_operator.manifests.models import Model
from vaka_operator.status.conditions import Finding, find, is_true
from vaka_operator.status.inferenceservices import Ingress, Seen, Verdicts, status_of, verdicts_of
from vaka_operator.status.predictor import Part, is_of_one_kind, is_rolled_out

JSON = dict[str, Any]
Pod = Callable[..., JSON]
Told = Callable[..., tuple[InferenceServiceStatus, Verdicts]]
URL = "http://digits.team.svc.cluster.local"
RUNS = {"running": {"startedAt": "2026-01-01T11:59:00Z"}}
READY = [{"type": "Ready", "status": "True"}]
LOADED = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 1}


def deployment(**status: Any) -> JSON:
    return {"metadata": {"generation": 1}, "status": {"observedGeneration": 1} | status}


def part(**fields: Any) -> Part:
    given: dict[str, Any] = {
        "replicas": 1,
        "model": Model(uri="pvc://models/digits", digest="sha256:1"),
        "deployment": deployment(replicas=1, updatedReplicas=1),
    }
    return Part(**given | fields)


def router(**fields: Any) -> Part:
    return part(container="router", model=None, **fields)


@pytest.fixture
def told() -> Told:
    """The status of a service whose predictor is as the keywords say, or which has other parts besides."""

    def make(
        ingress: Ingress | None = None,
        canary: Part | None = None,
        rollout: CanaryStatus | None = None,
        **fields: Any,
    ) -> tuple[InferenceServiceStatus, Verdicts]:
        seen = Seen(
            previous=InferenceServiceStatus(),
            generation=1,
            now="2026-01-01T12:00:00Z",
            predictor=part(**fields),
            ingress=ingress or Ingress(url=URL),
            canary=canary,
            rollout=rollout,
        )
        verdicts = verdicts_of(seen)
        return status_of(seen, verdicts), verdicts

    return make


@pytest.fixture
def server(pod: Pod) -> Pod:
    return lambda **fields: pod(name="s", container="server", **fields)


def transition(status: InferenceServiceStatus) -> tuple[str, str | None, str | None]:
    assert status.model_status is not None
    states = status.model_status.states
    return status.model_status.transition_status, states.active_model_state, states.target_model_state


def test_a_service_whose_pods_are_all_new_and_ready_is_ready(told: Told, server: Pod) -> None:
    pods = [server(phase="Running", conditions=READY, **RUNS)]
    status, verdicts = told(deployment=deployment(**LOADED), pods=pods)
    assert (status.state, status.url) == ("Ready", URL)
    assert {c.type: c.status for c in status.conditions} == dict.fromkeys(
        ("Ready", "PredictorReady", "IngressReady"), "True"
    )
    assert transition(status) == ("UpToDate", "Loaded", "Loaded")
    assert verdicts.ready.settled


def test_a_deployment_that_has_not_seen_its_newest_spec_is_not_settled(told: Told) -> None:
    behind = deployment(**LOADED) | {"metadata": {"generation": 2}}
    status, verdicts = told(deployment=behind)
    assert (status.state, verdicts.ready.settled) == ("RollingOut", False)
    assert is_true(status.conditions, "Ready"), "the pods that there are serve"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("LoadingModel", ("InProgress", None, "Loading")),
        ("ModelNotFound", ("BlockedByFailedLoad", None, "FailedToLoad")),
        ("DigestMismatch", ("BlockedByFailedLoad", None, "FailedToLoad")),
        ("StorageUnreachable", ("BlockedByFailedLoad", None, "FailedToLoad")),
    ],
)
def test_a_server_that_is_not_ready_tells_why_itself(
    told: Told, server: Pod, reason: str, expected: tuple[str, str | None, str]
) -> None:
    reports = {"s": Report(reason=reason, message="what to do", waiting=True)}
    status, _ = told(pods=[server(phase="Running", **RUNS)], reports=reports)
    ready = find(status.conditions, "Ready")
    assert ready is not None
    assert (status.state, ready.status, ready.message) == (reason, "False", "what to do")
    assert transition(status) == expected


def test_a_server_that_says_it_is_ready_is_so_when_its_pod_is(told: Told, server: Pod) -> None:
    reports = {"s": Report(reason="Ready", message="serving")}
    status, verdicts = told(pods=[server(phase="Running", **RUNS)], reports=reports)
    assert (status.state, verdicts.ready.settled) == ("LoadingModel", False)


def test_a_new_model_that_cannot_be_loaded_leaves_the_old_one_serving(told: Told, server: Pod) -> None:
    status, _ = told(
        deployment=deployment(replicas=2, updatedReplicas=1, readyReplicas=1),
        pods=[server(phase="Running", **RUNS)],
        reports={"s": Report(reason="DigestMismatch", message="m", waiting=True)},
    )
    assert status.state == "DigestMismatch"
    assert is_true(status.conditions, "Ready")
    assert transition(status) == ("BlockedByFailedLoad", "Loaded", "FailedToLoad")
    assert status.model_status is not None
    assert status.model_status.last_failure_info is not None
    assert status.model_status.last_failure_info.pod == "s"


@pytest.mark.parametrize("now", ["waiting", "running again"])
def test_a_server_that_crashes_shows_its_last_words(told: Told, server: Pod, now: str) -> None:
    state = RUNS if now == "running again" else {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no such option"}}
    status, _ = told(pods=[server(last=last, **state)])
    assert status.state == "CrashLoop"
    assert status.model_status is not None
    failure = status.model_status.last_failure_info
    assert failure is not None
    assert failure.exit_code == 3
    assert "no such option" in failure.message


def test_a_crash_that_explains_itself_is_named_by_its_own_reason(told: Told, server: Pod) -> None:
    report = msgspec.json.encode(Report(reason="ModelInvalid", message="not ONNX")).decode()
    last = {"terminated": {"exitCode": 65, "message": report}}
    status, _ = told(pods=[server(last=last, waiting={"reason": "CrashLoopBackOff"})])
    assert status.state == "ModelInvalid"


def test_a_refused_pod_is_told_from_the_deployment(told: Told) -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    status, _ = told(deployment=deployment(conditions=[refused]))
    assert status.state == "PodRefused"


def test_an_image_that_cannot_be_pulled_is_named(told: Told, server: Pod) -> None:
    pods = [server(waiting={"reason": "ImagePullBackOff", "message": "no such image"})]
    status, _ = told(pods=pods)
    assert status.state == "ImagePullFailed"


def test_a_service_without_a_model_says_what_it_waits_for(told: Told) -> None:
    waiting = Finding(Reason.WAITING_FOR_TRAINING_JOB, "TrainingJob digits is Running")
    status, _ = told(model=None, deployment=None, obstacle=waiting)
    assert status.state == "WaitingForTrainingJob"
    assert not is_true(status.conditions, "Ready")
    assert status.replicas is not None
    assert status.replicas.ready == 0


def test_a_wrong_spec_is_told_in_kserves_word(told: Told) -> None:
    wrong = Finding(Reason.INVALID_SPEC, "file:///")
    status, _ = told(deployment=None, obstacle=wrong)
    assert transition(status)[0] == "InvalidSpec"


def test_a_service_that_nobody_asks_is_ready_without_a_pod(told: Told) -> None:
    status, verdicts = told(replicas=0, deployment=deployment())
    assert (status.state, verdicts.ready.settled) == ("ScaledToZero", True)
    assert is_true(status.conditions, "Ready")
    assert is_true(status.conditions, "PredictorReady")


def test_a_router_that_is_not_there_yet_is_told_while_the_pods_answer(told: Told) -> None:
    starting = Ingress(url=URL, router=router(), leads=False)
    status, _ = told(deployment=deployment(**LOADED), ingress=starting)
    ingress = find(status.conditions, "IngressReady")
    assert ingress is not None
    assert (ingress.status, ingress.message.split(":")[0]) == ("False", "router")
    assert status.components is not None
    assert status.components.router is not None


def test_a_canary_that_cannot_be_loaded_takes_nothing_from_the_service(told: Told, server: Pod) -> None:
    blocked = part(
        pods=[server(phase="Running", **RUNS)],
        reports={"s": Report(reason="ModelInvalid", message="not ONNX", waiting=True)},
    )
    rollout = CanaryStatus(phase="Waiting", traffic_percent=0)
    status, _ = told(deployment=deployment(**LOADED), canary=blocked, rollout=rollout)
    assert is_true(status.conditions, "Ready")
    assert not is_true(status.conditions, "CanaryPredictorReady")
    assert (status.state, [t.percent for t in status.traffic]) == ("ModelInvalid", [100, 0])
    assert status.components is not None
    assert status.components.canary is not None
    assert status.components.canary.model_status is not None
    assert status.components.canary.model_status.transition_status == "BlockedByFailedLoad"


def test_a_gateway_that_does_not_lead_to_the_service_leaves_it_ready_inside(told: Told) -> None:
    ready = router(deployment=deployment(**LOADED))
    missing = Finding(Reason.GATEWAY_API_MISSING, "install it")
    given = Ingress(url=URL, router=ready, gateway=missing)
    status, _ = told(deployment=deployment(**LOADED), ingress=given)
    assert is_true(status.conditions, "Ready")
    assert not is_true(status.conditions, "IngressReady")
    assert status.state == "GatewayApiMissing"


@pytest.mark.parametrize(
    ("status", "of_one_kind", "rolled_out"),
    [
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}, True, True),
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1}, True, False),
        ({"replicas": 3, "updatedReplicas": 1, "readyReplicas": 2}, False, False),
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 0}, False, False),
        ({}, True, False),
    ],
)
def test_pods_of_a_former_kind_are_told_from_what_the_deployment_counts(
    status: JSON, *, of_one_kind: bool, rolled_out: bool
) -> None:
    live = deployment(**status)
    assert (is_of_one_kind(live), is_rolled_out(live, 2)) == (of_one_kind, rolled_out)

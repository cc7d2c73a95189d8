"""What an InferenceService's status tells of what its Deployment and pods show."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vaka.api.contract import Report
from vaka.api.inferenceservice import InferenceServiceStatus, PredictorSpec
from vaka.api.reasons import Reason
from vaka_operator.manifests.models import Model
from vaka_operator.status.conditions import Finding, find, is_true
from vaka_operator.status.inferenceservices import Seen, status_of

JSON = dict[str, Any]
Pod = Callable[..., JSON]
RUNS = {"running": {"startedAt": "2026-01-01T11:59:00Z"}}
READY = [{"type": "Ready", "status": "True"}]
LOADED = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 1}


def deployment(**status: Any) -> JSON:
    return {"metadata": {"generation": 1}, "status": {"observedGeneration": 1} | status}


@pytest.fixture
def seen(predictor_spec: Callable[..., PredictorSpec]) -> Callable[..., Seen]:
    def make(**fields: Any) -> Seen:
        given: dict[str, Any] = {
            "spec": predictor_spec(),
            "previous": InferenceServiceStatus(),
            "url": "http://digits.team.svc.cluster.local",
            "generation": 1,
            "now": "2026-01-01T12:00:00Z",
            "model": Model(uri="pvc://models/digits", digest="sha256:1"),
            "deployment": deployment(replicas=1, updatedReplicas=1),
        }
        return Seen(**given | fields)

    return make


@pytest.fixture
def server(pod: Pod) -> Pod:
    return lambda **fields: pod(name="s", container="server", **fields)


def transition(status: InferenceServiceStatus) -> tuple[str, str | None, str | None]:
    assert status.model_status is not None
    states = status.model_status.states
    return status.model_status.transition_status, states.active_model_state, states.target_model_state


def test_a_service_whose_pods_are_all_new_and_ready_is_ready(seen: Callable[..., Seen], server: Pod) -> None:
    pods = [server(phase="Running", conditions=READY, **RUNS)]
    status, verdict = status_of(seen(deployment=deployment(**LOADED), pods=pods))
    assert (status.state, status.url) == ("Ready", "http://digits.team.svc.cluster.local")
    assert is_true(status.conditions, "Ready")
    assert is_true(status.conditions, "PredictorReady")
    assert transition(status) == ("UpToDate", "Loaded", "Loaded")
    assert verdict.settled


def test_a_deployment_that_has_not_seen_its_newest_spec_is_not_settled(seen: Callable[..., Seen]) -> None:
    behind = deployment(**LOADED) | {"metadata": {"generation": 2}}
    status, verdict = status_of(seen(deployment=behind))
    assert (status.state, verdict.settled) == ("RollingOut", False)
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
    seen: Callable[..., Seen], server: Pod, reason: str, expected: tuple[str, str | None, str]
) -> None:
    reports = {"s": Report(reason=reason, message="what to do", waiting=True)}
    status, _ = status_of(seen(pods=[server(phase="Running", **RUNS)], reports=reports))
    ready = find(status.conditions, "Ready")
    assert ready is not None
    assert (status.state, ready.status, ready.message) == (reason, "False", "what to do")
    assert transition(status) == expected


def test_a_server_that_says_it_is_ready_is_so_when_its_pod_is(seen: Callable[..., Seen], server: Pod) -> None:
    reports = {"s": Report(reason="Ready", message="serving")}
    status, verdict = status_of(seen(pods=[server(phase="Running", **RUNS)], reports=reports))
    assert (status.state, verdict.settled) == ("LoadingModel", False)


def test_a_new_model_that_cannot_be_loaded_leaves_the_old_one_serving(
    seen: Callable[..., Seen], server: Pod
) -> None:
    status, _ = status_of(
        seen(
            deployment=deployment(replicas=2, updatedReplicas=1, readyReplicas=1),
            pods=[server(phase="Running", **RUNS)],
            reports={"s": Report(reason="DigestMismatch", message="m", waiting=True)},
        )
    )
    assert status.state == "DigestMismatch"
    assert is_true(status.conditions, "Ready")
    assert transition(status) == ("BlockedByFailedLoad", "Loaded", "FailedToLoad")
    assert status.model_status is not None
    assert status.model_status.last_failure_info is not None
    assert status.model_status.last_failure_info.pod == "s"


@pytest.mark.parametrize("now", ["waiting", "running again"])
def test_a_server_that_crashes_shows_its_last_words(seen: Callable[..., Seen], server: Pod, now: str) -> None:
    state = RUNS if now == "running again" else {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no such option"}}
    status, _ = status_of(seen(pods=[server(last=last, **state)]))
    assert status.state == "CrashLoop"
    assert status.model_status is not None
    failure = status.model_status.last_failure_info
    assert failure is not None
    assert failure.exit_code == 3
    assert "no such option" in failure.message


def test_a_crash_that_explains_itself_is_named_by_its_own_reason(
    seen: Callable[..., Seen], server: Pod
) -> None:
    report = msgspec.json.encode(Report(reason="ModelInvalid", message="not ONNX")).decode()
    last = {"terminated": {"exitCode": 65, "message": report}}
    status, _ = status_of(seen(pods=[server(last=last, waiting={"reason": "CrashLoopBackOff"})]))
    assert status.state == "ModelInvalid"


def test_a_refused_pod_is_told_from_the_deployment(seen: Callable[..., Seen]) -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    status, _ = status_of(seen(deployment=deployment(conditions=[refused])))
    assert status.state == "PodRefused"


def test_an_image_that_cannot_be_pulled_is_named(seen: Callable[..., Seen], server: Pod) -> None:
    pods = [server(waiting={"reason": "ImagePullBackOff", "message": "no such image"})]
    status, _ = status_of(seen(pods=pods))
    assert status.state == "ImagePullFailed"


def test_a_service_without_a_model_says_what_it_waits_for(seen: Callable[..., Seen]) -> None:
    waiting = Finding(Reason.WAITING_FOR_TRAINING_JOB, "TrainingJob digits is Running")
    status, _ = status_of(seen(model=None, deployment=None, obstacle=waiting))
    assert status.state == "WaitingForTrainingJob"
    assert not is_true(status.conditions, "Ready")
    assert status.replicas is not None
    assert status.replicas.ready == 0


def test_a_wrong_spec_is_told_in_kserves_word(seen: Callable[..., Seen]) -> None:
    wrong = Finding(Reason.INVALID_SPEC, "file:///")
    status, _ = status_of(seen(deployment=None, obstacle=wrong))
    assert transition(status)[0] == "InvalidSpec"

"""What a TrainingJob's status tells of what its Job and pods show."""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.contract import CheckpointReport, PublishedModel, Report
from vaka.api.reasons import Reason
from vaka.api.trainingjob import TrainingJobSpec
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka.api.types import Condition, Metric
from vaka_operator.manifests.environment import INDEX
from vaka_operator.status.conditions import Finding, find, is_true
from vaka_operator.status.jobs import has_begun
from vaka_operator.status.trainingjobs import is_final, status_of
from vaka_operator.status.verdict import Seen, Stage

JSON = dict[str, Any]
Pod = Callable[..., JSON]
STATES = ("Queued", "Running", "Restarting", "Suspended", "Complete", "Failed")
NOW = "2026-01-01T12:00:00Z"
RUNS = {"running": {"startedAt": "2026-01-01T11:59:00Z"}}
DIGEST = "sha256:" + "a" * 64
DONE = Report(
    reason="Succeeded",
    model=PublishedModel(uri="file:///mnt", digest=DIGEST, metrics=[Metric(name="accuracy", value="0.9912")]),
)


def ended(code: int, message: str = "", *, why: str = "Error") -> JSON:
    return {"terminated": {"exitCode": code, "reason": why, "message": message}}


def said(report: Report) -> str:
    return msgspec.json.encode(report).decode()


def job_json(condition: str | None = None, reason: str = "", *, suspend: bool = False, **status: Any) -> JSON:
    conditions = [{"type": condition, "status": "True", "reason": reason, "lastTransitionTime": NOW}]
    return {
        "metadata": {"uid": "j"},
        "spec": {"suspend": suspend},
        "status": {"conditions": conditions if condition else [], **status},
    }


def seen_of(spec: TrainingJobSpec, *, report: Report | None = None, **fields: Any) -> Seen:
    """What is seen of a job of this spec; `report` is what each of its pods says."""
    fields["reports"] = {p["metadata"]["name"]: report for p in fields.get("pods", ())} if report else {}
    given: dict[str, Any] = {
        "spec": spec,
        "previous": TrainingJobStatus(),
        "public_output": "pvc://digits/digits",
        "generation": 1,
        "now": NOW,
        "job": job_json(),
    }
    return Seen(**given | fields)


@pytest.fixture
def seen(job_spec: Callable[..., TrainingJobSpec]) -> Callable[..., Seen]:
    return lambda *, spec=None, **fields: seen_of(job_spec(**(spec or {})), **fields)


def told(status: TrainingJobStatus, kind: str = "Running") -> Condition:
    condition = find(status.conditions, kind)
    assert condition is not None
    return condition


def unscheduled(message: str) -> list[JSON]:
    return [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]


def waits(reason: str, message: str = "") -> JSON:
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        (waits("ErrImagePull", "not found"), "ImagePullFailed", "image trainer:1: not found: check"),
        (waits("ImagePullBackOff", "Back-off"), "ImagePullFailed", "Back-off"),
        (waits("InvalidImageName", "bad"), "ImagePullFailed", "bad"),
        (waits("CreateContainerConfigError", 'secret "k" not found'), "SecretMissing", "create the Secret"),
        (waits("CreateContainerConfigError", 'configmap "k" not found'), "ContainerRefused", "configmap"),
        (waits("ContainerCreating"), "ContainerStarting", "being started"),
    ],
)
def test_a_pod_that_does_not_start_says_why(
    seen: Callable[..., Seen], pod: Pod, state: JSON, reason: str, text: str
) -> None:
    status, _ = status_of(seen(pods=[pod(**state)]))
    assert (status.state, told(status).status, told(status).reason) == (reason, "False", reason)
    assert text in told(status).message


def test_an_unschedulable_pod_gives_the_schedulers_own_words(seen: Callable[..., Seen], pod: Pod) -> None:
    waiting = pod(node=None, conditions=unscheduled("0/3 nodes: Insufficient cpu"))
    status, _ = status_of(seen(pods=[waiting]))
    assert status.state == "Unschedulable"
    assert told(status).message == "0/3 nodes: Insufficient cpu"


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (None, "the claim data does not exist in this namespace: create it"),
        ({"status": {"phase": "Pending"}}, "the claim data is not bound: unbound PersistentVolumeClaims"),
    ],
    ids=["missing", "pending"],
)
def test_a_claim_that_holds_the_pod_up_is_named(
    seen: Callable[..., Seen], pod: Pod, claim: JSON | None, text: str
) -> None:
    waiting = pod(node=None, conditions=unscheduled("unbound PersistentVolumeClaims"))
    status, _ = status_of(seen(pods=[waiting], claims={"data": claim}))
    assert status.state == "VolumePending"
    assert text in told(status).message


def test_a_volume_that_cannot_be_mounted_is_told_from_the_pods_events(
    seen: Callable[..., Seen], pod: Pod
) -> None:
    events = [{"reason": "FailedMount", "note": "timed out waiting for the disk"}]
    status, _ = status_of(seen(pods=[pod(**waits("ContainerCreating"))], events=events))
    assert (status.state, told(status).message) == ("VolumePending", "timed out waiting for the disk")


def test_a_failed_pull_is_told_from_events_before_the_pod_shows_it(
    seen: Callable[..., Seen], pod: Pod
) -> None:
    events = [
        {"reason": "Failed", "note": "Error: ErrImagePull"},
        {"reason": "Failed", "note": 'Failed to pull image "no/such": connection refused'},
    ]
    status, _ = status_of(seen(pods=[pod(**waits("PodInitializing"))], events=events))
    assert status.state == "ImagePullFailed"
    assert "no/such" in told(status).message


def test_a_refused_pod_is_told_from_the_jobs_events(seen: Callable[..., Seen]) -> None:
    status, _ = status_of(seen(events=[{"reason": "FailedCreate", "note": "exceeded quota: small"}]))
    assert status.state == "PodRefused"
    assert "exceeded quota: small" in told(status).message
    healed, _ = status_of(
        seen(events=[{"reason": "SuccessfulCreate"}, {"reason": "FailedCreate"}], previous=status)
    )
    assert healed.state == "JobCreated"


def test_a_wrong_spec_is_shown_and_is_not_final(seen: Callable[..., Seen]) -> None:
    refusal = Finding(Reason.INVALID_SPEC, "epochs is 0")
    status, _ = status_of(seen(job=None, refusal=refusal))
    assert status.state == "InvalidSpec"
    assert not is_true(status.conditions, "Created")
    assert not is_final(status)


def test_progress_is_what_the_trainer_reports(seen: Callable[..., Seen], pod: Pod) -> None:
    report = Report(
        reason="Training",
        progress_percentage=42,
        estimated_remaining_seconds=80,
        step=7,
        epoch=1,
        metrics=[Metric(name="loss", value="0.5"), Metric(name="accuracy", value="0.98765")],
    )
    status, _ = status_of(seen(pods=[pod(phase="Running", **RUNS)], report=report))
    assert (status.state, status.progress, status.eta, status.metric) == (
        "Running",
        "42%",
        "1m20s",
        "accuracy=0.9877",
    )
    assert status.start_time == RUNS["running"]["startedAt"]


def test_a_trainer_that_waits_is_not_running_and_says_what_for(seen: Callable[..., Seen], pod: Pod) -> None:
    report = Report(reason="DatasetNotFound", message="nothing at s3://b", waiting=True)
    status, _ = status_of(seen(pods=[pod(phase="Running", **RUNS)], report=report))
    assert (status.state, told(status).status) == ("DatasetNotFound", "False")
    assert status.start_time is None, "its spec can still be corrected"


def test_a_trainer_that_misses_one_question_goes_on_as_before(seen: Callable[..., Seen], pod: Pod) -> None:
    running = [pod(phase="Running", **RUNS)]
    report = Report(reason="Training", progress_percentage=10)
    before, _ = status_of(seen(pods=running, report=report))
    after, _ = status_of(seen(pods=running, report=None, previous=before))
    assert after == before


def test_impossible_numbers_are_not_passed_on(seen: Callable[..., Seen], pod: Pod) -> None:
    report = Report(reason="Training", progress_percentage=400)
    status, _ = status_of(seen(pods=[pod(phase="Running", **RUNS)], report=report))
    assert (status.state, status.trainer_status) == ("Running", None)


def test_a_job_is_complete_when_its_model_is_known(seen: Callable[..., Seen], pod: Pod) -> None:
    succeeded = pod(phase="Succeeded", **ended(0, said(DONE), why="Completed"))
    status, _ = status_of(seen(pods=[succeeded], job=job_json("Complete")))
    assert (status.state, status.progress, status.metric) == ("Complete", "100%", "accuracy=0.9912")
    assert is_true(status.conditions, "Complete")
    assert status.model is not None
    assert (status.model.uri, status.model.digest) == ("pvc://digits/digits", DIGEST)
    assert (status.completion_time, status.eta) == (NOW, None)


def test_a_pod_that_has_ended_is_no_complete_job_yet(seen: Callable[..., Seen], pod: Pod) -> None:
    status, _ = status_of(seen(pods=[pod(phase="Succeeded", **ended(0, said(DONE)))]))
    assert (status.state, status.model) == ("Running", None)


@pytest.mark.parametrize("left", ["no pod", "no report"])
def test_a_result_that_nobody_read_is_not_claimed(seen: Callable[..., Seen], pod: Pod, left: str) -> None:
    pods = [] if left == "no pod" else [pod(phase="Succeeded", **ended(0, "hello"))]
    status, _ = status_of(seen(pods=pods, job=job_json("Complete")))
    assert (status.state, told(status, "Failed").reason) == ("Failed", "ResultUnknown")
    assert "pvc://digits/digits" in told(status, "Failed").message


@pytest.mark.parametrize(
    ("end", "reason", "text"),
    [
        (ended(137, why="OOMKilled"), "OutOfMemory", "raise the memory limit"),
        (ended(1, "Traceback\nKeyError: 3"), "TrainerFailed", "exit code 1, its last lines:\nTraceback"),
        (ended(65, said(Report(reason="DatasetInvalid", message="a.png"))), "DatasetInvalid", "a.png"),
        (ended(1, said(Report(reason="Odd", message="m"))), "TrainerFailed", "m"),
        (ended(143, said(Report(reason="Training", message="SIGTERM"))), "TrainerFailed", "SIGTERM"),
    ],
    ids=["memory", "crash", "report", "unknown word", "signal"],
)
def test_a_failure_names_pod_exit_code_reason_and_last_words(
    seen: Callable[..., Seen], pod: Pod, end: JSON, reason: str, text: str
) -> None:
    job = job_json("Failed", "PodFailurePolicy", failed=1)
    status, _ = status_of(seen(pods=[pod(phase="Failed", **end)], job=job))
    assert status.state == "Failed"
    assert status.failure is not None
    assert (status.failure.reason, status.failure.pod) == (reason, "digits-0-abc")
    assert status.failure.exit_code == end["terminated"]["exitCode"]
    assert text in status.failure.message


@pytest.mark.parametrize("why", ["DeadlineExceeded", "BackoffLimitExceeded", "PodFailurePolicy"])
@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 0), ("Failed", 137)])
def test_a_published_model_completes_the_job_whatever_its_job_says(
    seen: Callable[..., Seen], pod: Pod, why: str, phase: str, code: int
) -> None:
    done = pod(phase=phase, **ended(code, said(DONE)))
    status, _ = status_of(seen(pods=[done], job=job_json("FailureTarget", why)))
    assert (status.state, told(status).reason) == ("Running", "Publishing")
    status, _ = status_of(seen(pods=[done], job=job_json("Failed", why, failed=1), previous=status))
    assert (status.state, told(status, "Complete").reason, status.failure) == ("Complete", "Succeeded", None)
    assert status.model is not None
    assert status.model.digest == DIGEST


def test_a_container_of_ones_own_that_ended_well_completes_the_job_too(
    seen: Callable[..., Seen], pod: Pod
) -> None:
    spec = {"model": {"architecture": "custom"}, "trainer": {"image": "mine"}}
    job = job_json("Failed", "DeadlineExceeded")
    status, _ = status_of(seen(spec=spec, pods=[pod(phase="Succeeded", **ended(0))], job=job))
    assert status.state == "Complete"
    status, _ = status_of(seen(spec=spec, pods=[pod(phase="Failed", **ended(1))], job=job))
    assert status.state == "Failed"


@pytest.mark.parametrize(
    ("code", "word"), [(0, "Succeeded"), (0, "Training"), (1, "Succeeded"), (1, "Queued")]
)
def test_what_has_failed_never_gives_a_reason_of_something_else(
    seen: Callable[..., Seen], pod: Pod, code: int, word: str
) -> None:
    failed = pod(phase="Failed", **ended(code, said(Report(reason=word))))
    status, _ = status_of(seen(pods=[failed], job=job_json("Failed", "PodFailurePolicy", failed=1)))
    assert (status.state, told(status, "Failed").reason) == ("Failed", "TrainerFailed")


def test_too_many_failures_tell_of_the_last(seen: Callable[..., Seen], pod: Pod) -> None:
    pods = [
        pod(name="first", phase="Failed", **ended(1, "old")),
        pod(name="last", created="2026-01-02T00:00:00Z", phase="Failed", **ended(2, "new")),
    ]
    job = job_json("Failed", "BackoffLimitExceeded", failed=4)
    status, _ = status_of(seen(pods=pods, job=job))
    assert told(status, "Failed").reason == "BackoffLimitExceeded"
    assert "more often in a row than spec.backoffLimit, 3: the last, last" in told(status, "Failed").message
    assert status.failure is not None
    assert (status.failure.pod, status.failure.exit_code, status.restarts) == ("last", 2, 3)


def test_a_job_that_took_too_long_names_its_limit(seen: Callable[..., Seen]) -> None:
    job = job_json("Failed", "DeadlineExceeded")
    status, _ = status_of(seen(spec={"activeDeadlineSeconds": 60}, job=job))
    assert told(status, "Failed").reason == "DeadlineExceeded"
    assert "60 s" in told(status, "Failed").message


def test_between_attempts_a_job_is_restarting(seen: Callable[..., Seen], pod: Pod) -> None:
    failed = pod(phase="Failed", **ended(1, "boom"))
    status, _ = status_of(seen(pods=[failed], job=job_json(failed=1)))
    assert (status.state, status.restarts) == ("Restarting", 1)
    assert "attempt 2 follows (1 of 3 failures in a row): digits-0-abc failed" in told(status).message
    again = pod(name="next", created="2026-01-02T00:00:00Z", phase="Running", **RUNS)
    running, _ = status_of(seen(pods=[failed, again], job=job_json(failed=1), previous=status))
    assert running.state == "Running"
    assert not is_true(running.conditions, "Restarting")


def test_the_next_attempt_shows_what_holds_it_up(seen: Callable[..., Seen], pod: Pod) -> None:
    failed = pod(phase="Failed", **ended(1, "boom"))
    stuck = pod(name="next", created="2026-01-02T00:00:00Z", **waits("ErrImagePull", "gone"))
    status, _ = status_of(seen(pods=[failed, stuck], job=job_json(failed=1)))
    assert status.state == "ImagePullFailed"


def test_a_job_is_suspended_when_no_pod_is_left_and_not_before(seen: Callable[..., Seen], pod: Pod) -> None:
    spec = {"suspend": True}
    report = Report(reason="Training")
    stopping, _ = status_of(seen(spec=spec, pods=[pod(phase="Running", **RUNS)], report=report))
    assert stopping.state == "Stopping"
    suspended, _ = status_of(seen(spec=spec, previous=stopping))
    assert (suspended.state, told(suspended).status) == ("Suspended", "False")
    resumed, _ = status_of(seen(previous=suspended))
    assert told(resumed, "Suspended").status == "False"
    assert told(resumed, "Suspended").reason == "Resumed"


@pytest.mark.parametrize(
    ("state", "phase", "report", "begun"),
    [
        (waits("ErrImagePull"), "Pending", None, False),
        (RUNS, "Running", Report(reason="DatasetNotFound", waiting=True), False),
        (RUNS, "Running", Report(reason="Training"), True),
        (RUNS, "Running", None, True),
        (ended(128), "Failed", None, False),
        (ended(0), "Succeeded", None, True),
    ],
    ids=["not started", "waits", "trains", "does not answer", "could not start", "done"],
)
def test_work_that_would_be_lost_is_seen_even_where_its_begin_was_not(
    seen: Callable[..., Seen], pod: Pod, state: JSON, phase: str, report: Report | None, begun: bool
) -> None:
    assert has_begun(seen(pods=[pod(phase=phase, **state)], report=report)) == begun


def test_a_job_that_has_ended_is_never_made_anew(seen: Callable[..., Seen]) -> None:
    assert has_begun(seen(job=job_json("Complete")))
    assert not has_begun(seen(job=None))


reports = st.none() | st.builds(
    Report,
    reason=st.sampled_from([*Reason, "Nonsense"]),
    message=st.text(max_size=5),
    waiting=st.booleans(),
    checkpoint=st.none()
    | st.builds(
        CheckpointReport,
        step=st.integers(-1, 5),
        uri=st.just("s3://b/c"),
        time=st.sampled_from(["2026-01-01T12:00:00Z", "2026-01-03T12:00:00.5+02:00", "never"]),
    ),
    progress_percentage=st.none() | st.integers(-5, 500),
    estimated_remaining_seconds=st.none() | st.integers(-5, 10_000),
)
states = st.sampled_from(
    [
        RUNS,
        waits("ErrImagePull"),
        *(ended(code, said(DONE)) for code in (0, 1)),
        *(ended(code, said(Report(reason="Succeeded"))) for code in (0, 1)),
        ended(1, "boom"),
        ended(137),
        ended(137, why="OOMKilled"),
        {},
    ]
)
moments = st.fixed_dictionaries(
    {
        "job": st.none()
        | st.builds(
            job_json,
            st.sampled_from([None, "Complete", "Failed", "Suspended"]),
            st.sampled_from(["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy"]),
            failed=st.integers(0, 5),
            suspend=st.booleans(),
        ),
        "pods": st.lists(st.tuples(states, st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]))),
        "report": reports,
        "refusal": st.none() | st.just(Finding(Reason.INVALID_SPEC, "no")),
        "spec": st.fixed_dictionaries(
            {
                "suspend": st.booleans(),
                "queueName": st.none() | st.just("team"),
                "trainer": st.sampled_from([{}, {"numNodes": 2}, {"numNodes": 3, "minNodes": 2}]),
            }
        ),
    }
)


def moment_seen(moment: JSON, previous: TrainingJobStatus, now: str) -> Seen:
    smallest = {"model": {"architecture": "cnn"}, "dataset": {"storageUri": "pkg://mnist"}}
    spec = msgspec.convert(smallest | moment["spec"], TrainingJobSpec)
    pods = [
        {
            "metadata": {
                "name": f"p{i}",
                "uid": f"p{i}",
                "creationTimestamp": f"2026-01-0{i % 9 + 1}T00:00:00Z",
                "annotations": {INDEX: str(i % spec.trainer.num_nodes)},
            },
            "spec": {},
            "status": {
                "phase": phase,
                "containerStatuses": [{"name": "trainer", "image": "i", "state": state}],
            },
        }
        for i, (state, phase) in enumerate(moment["pods"])
    ]
    fields = {name: moment[name] for name in ("job", "report", "refusal")}
    return seen_of(spec, previous=previous, now=now, pods=pods, **fields)


@given(st.lists(moments, min_size=1, max_size=6))
def test_whatever_is_seen_the_status_holds_together(history: list[JSON]) -> None:
    status = TrainingJobStatus()
    for hour, moment in enumerate(history):
        seen = moment_seen(moment, status, f"2026-01-01T0{hour}:00:00Z")
        before, (status, verdict) = status, status_of(seen)

        msgspec.convert(msgspec.to_builtins(status), TrainingJobStatus)  # the API server will take it
        assert status_of(dataclasses.replace(seen, previous=status))[0] == status, "settles at once"
        held = [kind for kind in STATES if is_true(status.conditions, kind)]
        assert held == ([status.state] if status.state in STATES else [])
        shown = "Running" if verdict.stage is Stage.WAITING else verdict.stage
        assert shown in verdict.finding.reason.conditions, "docs/states.md tells of it"
        assert all(c.reason in list(Reason) for c in status.conditions)
        for condition in status.conditions:
            old = find(before.conditions, condition.type)
            kept = old is not None and old.last_transition_time == condition.last_transition_time
            assert kept == (old is not None and old.status == condition.status)
        if is_final(status):
            break

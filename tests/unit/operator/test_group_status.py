"""What a TrainingJob of several pods tells, and how it deals with attempts, queues and checkpoints."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vaka.api.contract import CheckpointReport, PublishedModel, Report
from vaka.api.trainingjob import TrainingJobSpec
from vaka.api.trainingjobstatus import CheckpointStatus, TrainingJobStatus
from vaka.api.types import Condition
from vaka_operator.manifests.environment import INDEX
from vaka_operator.status.checkpoints import checkpoint, has_advanced
from vaka_operator.status.conditions import find, is_true
from vaka_operator.status.group import Group
from vaka_operator.status.trainingjobs import status_of
from vaka_operator.status.verdict import Seen

JSON = dict[str, Any]
Make = Callable[..., Seen]
NOW = "2026-01-01T12:00:00Z"
RUNS = {"running": {"startedAt": "2026-01-01T11:59:00Z"}}
TRAINING = Report(reason="Training", progress_percentage=10)
THREE = {"trainer": {"numNodes": 3}}
ELASTIC = {"trainer": {"numNodes": 3, "minNodes": 2}}


def failed(code: int, message: str = "") -> JSON:
    return {"terminated": {"exitCode": code, "reason": "Error", "message": message}}


@pytest.fixture
def node(pod: Callable[..., JSON]) -> Callable[..., JSON]:
    """The pod of this index; by default it runs."""

    def make(index: int, *, name: str = "", phase: str = "Running", **fields: Any) -> JSON:
        state = fields if fields or phase != "Running" else RUNS
        made = pod(name=name or f"digits-{index}", phase=phase, **state)
        made["metadata"]["annotations"] = {INDEX: str(index)}
        return made

    return make


@pytest.fixture
def seen(job_spec: Callable[..., TrainingJobSpec]) -> Make:
    def make(spec: JSON | None = None, **fields: Any) -> Seen:
        given: dict[str, Any] = {
            "spec": job_spec(**(spec or {})),
            "previous": TrainingJobStatus(),
            "public_output": "pvc://digits/digits",
            "generation": 1,
            "now": NOW,
            "job": {"metadata": {"uid": "j"}, "spec": {}, "status": {}},
        }
        return Seen(**given | fields)

    return make


def running(status: TrainingJobStatus) -> Condition:
    condition = find(status.conditions, "Running")
    assert condition is not None
    return condition


UNSCHEDULED = [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes: cpu"}
]


def test_one_pod_that_has_no_place_is_named_with_how_many_run(seen: Make, node: Callable[..., JSON]) -> None:
    stuck = node(2, phase="Pending", node=None, conditions=UNSCHEDULED)
    status, _ = status_of(seen(THREE, pods=[node(0), node(1), stuck]))
    assert (status.state, running(status).status) == ("Unschedulable", "False")
    assert running(status).message == "2 of 3 pods run; digits-2: 0/2 nodes: cpu"


def test_a_pod_with_an_obstacle_is_told_before_one_that_only_starts(
    seen: Make, node: Callable[..., JSON]
) -> None:
    starting = node(0, phase="Pending", waiting={"reason": "ContainerCreating"})
    stuck = node(1, phase="Pending", waiting={"reason": "ErrImagePull", "message": "gone"})
    status, _ = status_of(seen(THREE, pods=[starting, stuck]))
    assert status.state == "ImagePullFailed"
    assert "0 of 3 pods run; digits-1: image trainer:1: gone" in running(status).message


def test_a_pod_that_the_namespace_refuses_is_told_while_others_run(
    seen: Make, node: Callable[..., JSON]
) -> None:
    events = [{"reason": "FailedCreate", "note": "exceeded quota"}]
    status, _ = status_of(seen(THREE, pods=[node(0), node(1)], events=events))
    assert status.state == "PodRefused"
    assert running(status).message.startswith("2 of 3 pods run; the namespace refuses")


def test_an_elastic_job_runs_with_fewer_and_says_who_is_missing(
    seen: Make, node: Callable[..., JSON]
) -> None:
    stuck = node(2, phase="Pending", node=None, conditions=UNSCHEDULED)
    pods, reports = [node(0), node(1), stuck], {"digits-0": TRAINING}
    status, _ = status_of(seen(ELASTIC, pods=pods, reports=reports))
    assert (status.state, status.progress) == ("Running", "10%")
    assert "2 of 3 pods run; digits-2: 0/2 nodes: cpu" in running(status).message
    again, _ = status_of(seen(ELASTIC, pods=pods, previous=status))
    assert running(again).message == running(status).message, "and it does not grow while nobody answers"


def test_the_report_of_the_pod_that_is_furthest_counts(seen: Make, node: Callable[..., JSON]) -> None:
    waits = Report(reason="WaitingForNodes", message="2 of 3 nodes are here", waiting=True)
    pods = [node(i) for i in range(3)]
    status, _ = status_of(seen(THREE, pods=pods, reports={"digits-0": waits, "digits-2": TRAINING}))
    assert status.state == "Running"
    status, _ = status_of(seen(THREE, pods=pods, reports={"digits-0": waits}))
    assert status.state == "WaitingForNodes"
    assert running(status).message == "3 of 3 pods run; 2 of 3 nodes are here"


def test_what_ended_an_attempt_is_told_and_not_what_followed_from_it(
    seen: Make, node: Callable[..., JSON]
) -> None:
    before, _ = status_of(seen(THREE, pods=[node(i) for i in range(3)], reports={"digits-0": TRAINING}))
    pods = [
        node(0, phase="Failed", **failed(75)),
        node(1, phase="Failed", **failed(1, "boom")),
        node(2, phase="Failed", **failed(143)),
    ]
    job = {"metadata": {"uid": "j"}, "spec": {"backoffLimit": 9}, "status": {"failed": 1}}
    status, _ = status_of(seen(THREE, previous=before, pods=pods, job=job))
    assert (status.state, status.restarts) == ("Restarting", 1)
    assert running(status).message.startswith(
        "attempt 2 follows (1 of 9 failures in a row): digits-1 failed: trainer ended with exit code 1"
    )


def test_a_pod_that_vanished_is_a_restart_too_and_is_counted_once(
    seen: Make, node: Callable[..., JSON]
) -> None:
    before, _ = status_of(seen(pods=[node(0)], reports={"digits-0": TRAINING}))
    status, _ = status_of(seen(previous=before))
    assert (status.state, status.restarts) == ("Restarting", 1)
    assert "a pod was removed" in running(status).message
    status, _ = status_of(seen(previous=status))
    assert (status.state, status.restarts) == ("Restarting", 1)


def test_a_resumed_job_does_not_restart(seen: Make, node: Callable[..., JSON]) -> None:
    job = {"metadata": {"uid": "j"}, "spec": {}, "status": {"failed": 1}}
    broken = node(0, phase="Failed", **failed(1))
    status, _ = status_of(seen(pods=[broken], job=job))
    assert status.state == "Restarting"
    status, _ = status_of(seen({"suspend": True}, pods=[broken], job=job, previous=status))
    assert status.state == "Suspended"
    status, _ = status_of(seen(pods=[broken], job=job, previous=status))
    assert (status.state, status.restarts) == ("JobCreated", 1)


def test_a_disruption_is_named_and_is_no_fault_of_the_trainer(seen: Make, node: Callable[..., JSON]) -> None:
    drained = {"type": "DisruptionTarget", "status": "True", "message": "Eviction API: evicting"}
    before, _ = status_of(seen(pods=[node(0)], reports={"digits-0": TRAINING}))
    gone = node(0, phase="Failed", conditions=[drained], **failed(143))
    status, _ = status_of(seen(pods=[gone], previous=before))
    assert running(status).message == "attempt 2 follows: digits-0 failed: Eviction API: evicting"


def test_a_job_that_fails_is_not_about_to_restart(seen: Make, node: Callable[..., JSON]) -> None:
    target = {"type": "FailureTarget", "status": "True", "message": "too many"}
    job = {"metadata": {"uid": "j"}, "status": {"failed": 4, "conditions": [target]}}
    status, _ = status_of(seen(THREE, pods=[node(0), node(1, phase="Failed", **failed(1))], job=job))
    assert status.state == "Stopping"
    assert "too many" in running(status).message


def test_the_first_pod_that_is_done_completes_the_job(seen: Make, node: Callable[..., JSON]) -> None:
    model = PublishedModel(uri="file:///m", digest="sha256:" + "a" * 64)
    report = msgspec.json.encode(Report(reason="Succeeded", model=model)).decode()
    end = {"terminated": {"exitCode": 0, "reason": "Completed", "message": report}}
    pods = [node(0), node(1, phase="Succeeded", **end), node(2)]
    status, _ = status_of(seen(THREE, pods=pods, reports={"digits-0": TRAINING}))
    assert (status.state, running(status).reason) == ("Running", "Publishing")
    complete = {"type": "Complete", "status": "True", "lastTransitionTime": NOW}
    job = {"metadata": {"uid": "j"}, "status": {"conditions": [complete]}}
    status, _ = status_of(seen(THREE, pods=pods, job=job))
    assert status.state == "Complete"
    assert status.model is not None


CUSTOM = {"model": {"architecture": "custom"}, "trainer": {"image": "mine"}}


def test_a_custom_container_needs_neither_report_nor_model(seen: Make, node: Callable[..., JSON]) -> None:
    status, _ = status_of(seen(CUSTOM, pods=[node(0)]))
    assert (status.state, running(status).reason) == ("Running", "Training")
    assert status.start_time == RUNS["running"]["startedAt"]
    complete = {"type": "Complete", "status": "True", "lastTransitionTime": NOW}
    job = {"metadata": {"uid": "j"}, "status": {"conditions": [complete]}}
    status, _ = status_of(seen(CUSTOM, job=job, previous=status))
    assert (status.state, status.model) == ("Complete", None)


def test_a_job_in_a_queue_says_what_the_queue_lacks_and_when_it_is_preempted(
    seen: Make, node: Callable[..., JSON]
) -> None:
    def held(suspend: bool) -> JSON:
        return {"metadata": {"uid": "j"}, "spec": {"suspend": suspend}, "status": {}}

    spec = {"queueName": "team"}
    status, _ = status_of(seen(spec, job=held(True), queue="insufficient quota for cpu"))
    assert (status.state, running(status).reason) == ("Queued", "Queued")
    assert running(status).message == "it waits in the queue team: insufficient quota for cpu"
    report = {"digits-0": TRAINING}
    status, _ = status_of(seen(spec, job=held(False), pods=[node(0)], reports=report, previous=status))
    assert status.state == "Running"
    queued = find(status.conditions, "Queued")
    assert queued is not None
    assert (queued.status, queued.reason) == ("False", "Admitted")
    status, _ = status_of(seen(spec, job=held(True), pods=[node(0)], previous=status))
    assert status.state == "Stopping"
    assert "the queue team took it back" in running(status).message
    status, _ = status_of(seen(spec, job=held(True), previous=status))
    assert status.state == "Queued"
    assert status.restarts is None, "to be preempted is no restart"
    assert not is_true(status.conditions, "Restarting")


def saved(step: int, time: str = "2026-01-01T11:59:30Z") -> CheckpointReport:
    return CheckpointReport(step=step, uri=f"s3://b/c/{step}", time=time)


def training(step: int, **fields: Any) -> Report:
    return msgspec.structs.replace(TRAINING, checkpoint=saved(step, **fields))


def known(step: int, time: str = "2026-01-01T11:59:30Z") -> TrainingJobStatus:
    return TrainingJobStatus(checkpoint=CheckpointStatus(step=step, uri=f"s3://b/c/{step}", time=time))


def test_the_newest_checkpoint_of_all_pods_is_told(seen: Make, node: Callable[..., JSON]) -> None:
    look = seen(THREE, pods=[node(0), node(1)], reports={"digits-0": training(5), "digits-1": training(7)})
    found = checkpoint(look)
    assert found is not None
    assert (found.step, found.uri) == (7, "s3://b/c/7")
    assert has_advanced(look)


@pytest.mark.parametrize(
    ("began", "step"),
    [("2026-01-01T11:59:00Z", 9), ("2026-01-01T11:59:40Z", 4)],
    ids=["late news", "a new pod found an older one"],
)
def test_a_checkpoint_goes_back_only_for_a_pod_that_began_after_it(
    seen: Make, node: Callable[..., JSON], began: str, step: int
) -> None:
    pod = node(0, running={"startedAt": began})
    look = seen(pods=[pod], reports={"digits-0": training(4)}, previous=known(9))
    found = checkpoint(look)
    assert found is not None
    assert found.step == step
    assert not has_advanced(look)


def test_the_last_word_of_a_pod_tells_of_its_checkpoint(seen: Make, node: Callable[..., JSON]) -> None:
    word = msgspec.json.encode(training(12)).decode()
    look = seen(pods=[node(0, phase="Failed", **failed(143, word))], previous=known(9))
    found = checkpoint(look)
    assert found is not None
    assert found.step == 12


def test_old_words_of_a_pod_that_was_replaced_do_not_count(seen: Make, node: Callable[..., JSON]) -> None:
    word = msgspec.json.encode(training(12)).decode()
    old = node(0, name="old", phase="Failed", **failed(1, word))
    new = node(0, name="zew", running={"startedAt": "2026-01-01T11:59:40Z"})
    look = seen(pods=[old, new], reports={"zew": training(9)}, previous=known(9))
    found = checkpoint(look)
    assert found is not None
    assert found.step == 9


@pytest.mark.parametrize("given", [saved(-1), saved(3, "soon"), saved(3, "")], ids=["step", "time", "none"])
def test_an_impossible_checkpoint_is_not_passed_on(
    seen: Make, node: Callable[..., JSON], given: CheckpointReport
) -> None:
    report = msgspec.structs.replace(TRAINING, checkpoint=given)
    assert checkpoint(seen(pods=[node(0)], reports={"digits-0": report})) is None


def test_of_two_pods_made_in_the_same_second_the_one_that_lives_is_the_newer(
    node: Callable[..., JSON],
) -> None:
    former = node(0, name="digits-0-z", phase="Failed", **failed(137))
    group = Group(pods=[former, node(0, name="digits-0-a")], size=1, need=1)
    assert [pod["metadata"]["name"] for pod in group.current] == ["digits-0-a"]

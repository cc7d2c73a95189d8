"""Pods that were killed from outside do not count, whatever was seen when."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.contract import Report
from vaka.api.trainingjob import TrainingJobSpec
from vaka.api.trainingjobstatus import TrainingJobStatus
from vaka_operator.manifests.job import MARGIN, backoff_limit
from vaka_operator.status import kills
from vaka_operator.status.conditions import find
from vaka_operator.status.trainingjobs import status_of
from vaka_operator.status.verdict import Seen

JSON = dict[str, Any]
Pod = Callable[..., JSON]
Spec = Callable[..., TrainingJobSpec]
JOB: JSON = {"metadata": {"uid": "j"}, "spec": {}, "status": {}}
IGNORED = [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    {"action": "Ignore", "onExitCodes": {"containerName": "trainer", "operator": "In", "values": [75, 143]}},
]
DRAINED = [{"type": "DisruptionTarget", "status": "True", "message": "Eviction API: evicting"}]


def ended(code: int, *, why: str = "Error", message: str = "") -> JSON:
    return {"terminated": {"exitCode": code, "reason": why, "message": message}}


def ruled(*rules: JSON) -> JSON:
    return {**JOB, "spec": {"podFailurePolicy": {"rules": [*rules, *IGNORED]}}}


def said(word: str) -> str:
    return msgspec.json.encode(Report(reason=word, message="m")).decode()


@pytest.mark.parametrize(
    ("end", "phase", "killed"),
    [
        (ended(137), "Failed", True),
        (ended(137), "Running", True),
        (ended(137, why="ContainerStatusUnknown"), "Failed", True),
        (ended(137, message=said("Training")), "Failed", True),
        (ended(137, why="OOMKilled"), "Failed", False),
        (ended(137, message=said("OutOfMemory")), "Failed", False),
        (ended(1), "Failed", False),
        (ended(143), "Failed", False),
        (ended(0), "Succeeded", False),
        ({}, "Failed", False),
        ({"running": {}}, "Running", False),
    ],
    ids=[
        "kill",
        "first sight",
        "lost",
        "at work",
        "memory",
        "told",
        "error",
        "stop",
        "well",
        "no word",
        "runs",
    ],
)
def test_a_kill_is_told_from_what_a_program_did_itself(pod: Pod, end: JSON, phase: str, killed: bool) -> None:
    assert kills.is_killed(pod(phase=phase, **end), ruled()) == killed


def test_a_pod_that_was_removed_by_force_was_killed(pod: Pod) -> None:
    removed = pod(phase="Failed")
    removed["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert kills.is_killed(removed, ruled())
    own = pod(phase="Failed", **ended(1))
    own["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not kills.is_killed(own, ruled()), "it failed before"


def exits(action: str, operator: str, *codes: int) -> JSON:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(codes)}}


@pytest.mark.parametrize(
    ("rule", "killed"),
    [
        (exits("Count", "In", 137), False),
        (exits("FailJob", "NotIn", 1, 2), False),
        (exits("FailJob", "In", 1), True),
        (exits("FailJob", "NotIn", 137), True),
    ],
)
def test_a_rule_of_the_spec_comes_first(pod: Pod, rule: JSON, killed: bool) -> None:
    assert kills.is_killed(pod(phase="Failed", **ended(137)), ruled(rule)) == killed


def test_what_the_job_does_not_count_needs_no_pardon(pod: Pod) -> None:
    assert not kills.is_killed(pod(phase="Failed", conditions=DRAINED, **ended(137)), ruled())


def test_the_limit_has_a_margin_until_too_many_failures_count(job_spec: Spec) -> None:
    spec = job_spec(backoffLimit=2, trainer={"numNodes": 3})
    assert backoff_limit(spec) == 6 + 3 * MARGIN
    assert backoff_limit(spec, forgiven=5, failed=11) == 11 + 3 * MARGIN
    assert backoff_limit(spec, forgiven=5, failed=12) == 11, "now the Job gives up"


def test_what_somebody_wrote_into_the_annotation_is_no_harm() -> None:
    for text in ("", "nonsense", "[]", '{"failures": "many"}'):
        job = {"metadata": {"annotations": {kills.FORGIVEN: text}}}
        assert kills.forgiven(job) == kills.Forgiven()


class Trial:
    """A Job whose controller counts in three steps, its pods, and an operator that looks and may die."""

    def __init__(self) -> None:
        self.job: JSON = {
            "metadata": {"uid": "j"},
            "status": {"failed": 0, "uncountedTerminatedPods": {"failed": []}},
        }
        self.pods: list[JSON] = []
        self.looked = True
        self.ends = 0
        self.own = 0
        """Failures that count."""

    def end(self, code: int, why: str) -> None:
        self.ends += 1
        uid = f"{self.ends:08}-0000-0000"
        state = {"name": "trainer", "image": "t", "state": ended(code, why=why)}
        meta = {"name": uid, "uid": uid, "finalizers": [kills.TRACKING]}
        self.pods.append({"metadata": meta, "status": {"phase": "Failed", "containerStatuses": [state]}})
        self.own += code != 137 or why == "OOMKilled"
        self.looked = False

    def count(self) -> None:
        """One step for each pod that is not counted yet."""
        counting: list[str] = self.job["status"]["uncountedTerminatedPods"]["failed"]
        for pod in self.pods:
            meta = pod["metadata"]
            if meta["uid"] not in counting and meta["finalizers"]:
                counting.append(meta["uid"])
            elif meta["finalizers"]:
                meta["finalizers"] = []
            elif meta["uid"] in counting:
                counting.remove(meta["uid"])
                self.job["status"]["failed"] += 1

    def vanish(self) -> None:
        """Somebody deletes the pods that are counted."""
        if self.looked:
            self.pods = [pod for pod in self.pods if self._is_uncounted(pod)]

    def look(self, *, anew: bool = False) -> None:
        found = kills.forgive(self.job, self.pods, anew=anew)
        self.job["metadata"].setdefault("annotations", {}).update(kills.noted(found))
        self.looked = True
        if anew:
            rest = [pod for pod in self.pods if self._is_uncounted(pod)]
            self.own = sum(not kills.is_killed(pod, self.job) for pod in rest)

    def _is_uncounted(self, pod: JSON) -> bool:
        counting = self.job["status"]["uncountedTerminatedPods"]["failed"]
        return bool(pod["metadata"]["finalizers"]) or pod["metadata"]["uid"] in counting


EVENTS: list[tuple[Any, ...]] = [
    *(("end", code, why) for code, why in ((137, "Error"), (137, "Error"), (137, "OOMKilled"), (1, "Error"))),
    *[("count",)] * 3,
    ("vanish",),
    ("look",),
    ("checkpoint",),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=40))
def test_whenever_it_is_looked_each_kill_is_made_up_for_once_and_nothing_else(
    events: list[tuple[Any, ...]],
) -> None:
    trial = Trial()
    for name, *arguments in events:
        if name == "checkpoint":
            trial.look(anew=True)
        else:
            getattr(trial, name)(*arguments)
    for _ in range(3):
        trial.count()
    trial.look()
    assert kills.own_failures(trial.job) == trial.own
    assert kills.failed(trial.job) == trial.ends
    known = kills.forgiven(trial.job).killed
    assert len(known) == len(set(known))


@pytest.fixture
def restarting(job_spec: Spec) -> Callable[..., str]:
    """What is told after this pod has ended."""

    def tell(pod: JSON, job: JSON) -> str:
        seen = Seen(
            spec=job_spec(),
            previous=TrainingJobStatus(),
            public_output="pvc://digits/digits",
            generation=1,
            now="2026-01-01T12:00:00Z",
            job=job,
            pods=[pod],
        )
        status, _ = status_of(seen)
        assert (status.state, status.restarts) == ("Restarting", 1)
        condition = find(status.conditions, "Restarting")
        assert condition is not None
        return condition.message

    return tell


def test_a_kill_is_told_as_what_it_was(pod: Pod, restarting: Callable[..., str]) -> None:
    killed = pod(phase="Failed", **ended(137))
    words = "digits-0-abc failed: the pod was killed (SIGKILL) from outside"
    forgiven = kills.noted(kills.Forgiven(failures=1, killed=["digits-0-abc"]))
    job = ruled() | {"status": {"failed": 1}, "metadata": {"uid": "j", "annotations": forgiven}}
    assert restarting(killed, job) == f"attempt 2 follows: {words}; it does not count"
    counted = ruled(exits("Count", "In", 137)) | {"status": {"failed": 1}}
    assert restarting(killed, counted) == f"attempt 2 follows (1 of 3 failures in a row): {words}"


def test_to_run_out_of_memory_counts(pod: Pod, restarting: Callable[..., str]) -> None:
    told = restarting(pod(phase="Failed", **ended(137, why="OOMKilled")), ruled() | {"status": {"failed": 1}})
    assert "(1 of 3 failures in a row): digits-0-abc failed: trainer used more memory than its limit" in told


@pytest.mark.parametrize(("failures", "state"), [(3, "JobCreated"), (4, "Stopping")])
def test_a_job_that_failed_too_often_is_not_about_to_restart(
    job_spec: Spec, failures: int, state: str
) -> None:
    pardon = kills.noted(kills.Forgiven(failures=2))
    job = {"metadata": {"annotations": pardon}, "spec": {}, "status": {"failed": 2 + failures}}
    seen = Seen(
        spec=job_spec(backoffLimit=3),
        previous=TrainingJobStatus(restarts=5),
        public_output="pvc://digits/digits",
        generation=1,
        now="2026-01-01T12:00:00Z",
        job=job,
    )
    status, _ = status_of(seen)
    assert (status.state, status.restarts) == (state, 5)

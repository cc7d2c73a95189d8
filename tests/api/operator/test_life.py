"""Whatever happens to a TrainingJob in whatever order: ended stays ended, nothing is there twice, and the
status agrees with the children whenever it settles.

VAKA_LIFE_EXAMPLES says how many lives are lived; more than usual are random, and what fails is shrunk.
"""

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from vaka_operator.cluster import JSON, Cluster, Conflict
from vaka_operator.config import Config
from vaka_operator.handlers import trainingjobs
from vaka_operator.handlers.world import World

pytestmark = pytest.mark.api

USUAL = 12
EXAMPLES = int(os.environ.get("VAKA_LIFE_EXAMPLES", USUAL))
SETTLES_WITHIN_S = 30
NOW = "2026-01-01T00:00:00Z"
INDEX = "batch.kubernetes.io/job-completion-index"
REPORT = json.dumps({"reason": "Succeeded", "model": {"uri": "", "digest": "sha256:" + "a" * 64}})
ENDS = ("Complete", "Failed")


# One rule draws from all that may happen: rules of their own would be left out for whole lives.
EVENTS: list[tuple[Any, ...]] = [
    ("reconcile",),
    *(("reconcile_and_die", writes) for writes in range(6)),
    *(("suspend_or_resume", suspend) for suspend in (True, False, False)),
    *(("change_what_is_trained", image) for image in ("one", "two")),
    *(("change_a_limit", seconds) for seconds in (None, 3600)),
    *(("delete_a_child", kind) for kind in ("job", "job", "pod", "pvc", "service")),
    *[("the_kubelet_works",)] * 3,
    *[("all_goes_well",)] * 3,
    *[("finish",)] * 2,
    *(("fail", code) for code in (1, 65, 137, 143)),
    *[("settle",)] * 4,
]


class Died(Exception):
    """The operator was killed."""


class Mortal(Cluster):
    """A cluster whose client dies before a certain write."""

    writes_left: int | None = None

    async def _call(self, method: str, path: str, **options: Any) -> JSON | None:
        if method != "GET" and self.writes_left is not None:
            if self.writes_left == 0:
                raise Died
            self.writes_left -= 1
        return await super()._call(method, path, **options)


class Life(RuleBasedStateMachine):
    """One TrainingJob, the people who edit it, the kubelet, and an operator that may die."""

    def __init__(self, namespace: Any, kubeconfig: Path, config: Config) -> None:
        super().__init__()
        self.namespace, self.name = namespace, f"job-{uuid.uuid4().hex[:8]}"
        self.runner = asyncio.Runner()
        self.cluster = self.runner.run(Mortal.connect(kubeconfig))
        self.world = World(cluster=self.cluster, config=config)
        self.end: JSON | None = None

    def teardown(self) -> None:
        with contextlib.suppress(Exception):
            self.namespace.delete("tj", self.name, propagationPolicy="Background")
        self.runner.run(self.cluster.close())
        self.runner.close()

    # What can be seen

    @property
    def training_job(self) -> JSON:
        found: JSON = self.namespace.get("tj", self.name)
        return found

    def mine(self, kind: str) -> list[JSON]:
        label = "vaka.dev/training-job"
        things = self.namespace.list(kind)
        return [t for t in things if t["metadata"].get("labels", {}).get(label) == self.name]

    def living(self, *phases: str) -> list[JSON]:
        phases = phases or ("Pending", "Running")
        return [pod for pod in self.mine("pod") if pod["status"]["phase"] in phases]

    # What happens

    @initialize(nodes=st.sampled_from([1, 2]), suspend=st.booleans())
    def create(self, nodes: int, suspend: bool) -> None:
        self.nodes = nodes
        spec = {
            "model": {"architecture": "cnn"},
            "dataset": {"storageUri": "pkg://mnist"},
            "trainer": {"numNodes": nodes},
            "suspend": suspend,
            "backoffLimit": 1,
        }
        head = {"apiVersion": "vaka.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": self.name}}
        self.namespace.create("tj", {**head, "spec": spec})

    @rule(event=st.sampled_from(EVENTS))
    def happens(self, event: tuple[Any, ...]) -> None:
        name, *arguments = event
        getattr(self, name)(*arguments)

    def reconcile(self) -> None:
        with contextlib.suppress(Conflict):
            self.runner.run(trainingjobs.reconcile(self.world, self.namespace.name, self.name))

    def reconcile_and_die(self, writes: int) -> None:
        self.cluster.writes_left = writes
        with contextlib.suppress(Died):
            self.reconcile()
        self.cluster.writes_left = None

    def suspend_or_resume(self, suspend: bool) -> None:
        self.edit({"suspend": suspend})

    def change_what_is_trained(self, image: str) -> None:
        self.edit({"trainer": {"image": image}})

    def change_a_limit(self, seconds: int | None) -> None:
        self.edit({"activeDeadlineSeconds": seconds})

    def edit(self, change: JSON) -> None:
        try:
            self.namespace.patch("tj", self.name, {"spec": change})
        except Exception as refusal:
            if "cannot be changed after the job has started" not in str(refusal):
                raise

    def delete_a_child(self, kind: str) -> None:
        for child in self.mine(kind)[:1]:
            with contextlib.suppress(Exception):  # somebody else was faster
                self.namespace.delete(kind, child["metadata"]["name"], propagationPolicy="Background")

    def the_kubelet_works(self) -> None:
        """It starts the pods that are there, and ends those that are being deleted."""
        for pod in self.mine("pod"):
            name = pod["metadata"]["name"]
            with contextlib.suppress(Exception):  # the pod is gone
                if "deletionTimestamp" in pod["metadata"]:
                    self.namespace.delete("pod", name, gracePeriodSeconds=0)
                elif pod["status"]["phase"] == "Pending":
                    self.namespace.bind(pod, "node-1")
                    self.namespace.set_pod(pod, "Running", {"running": {"startedAt": NOW}})

    def all_goes_well(self) -> None:
        self.settle()
        self.the_kubelet_works()
        self.settle()

    def finish(self) -> None:
        for pod in self.living("Running")[:1]:
            self.stop(pod, "Succeeded", 0, REPORT)

    def fail(self, code: int) -> None:
        for pod in self.living("Running")[:1]:
            self.stop(pod, "Failed", code, "boom")

    def stop(self, pod: JSON, phase: str, code: int, message: str) -> None:
        times = {"startedAt": NOW, "finishedAt": NOW}
        end = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message, **times}
        with contextlib.suppress(Exception):  # the pod is gone
            self.namespace.set_pod(pod, phase, {"terminated": end})

    # What has to hold

    def settle(self) -> None:
        """Reconciled again and again, the status comes to agree with the children, and stays so."""
        until = time.monotonic() + SETTLES_WITHIN_S
        agreed = 0
        while agreed < 2:
            self.reconcile()
            agreed = agreed + 1 if self.agrees() else 0
            assert time.monotonic() < until, (self.training_job.get("status"), self.children())
            time.sleep(0.05)

    def agrees(self) -> bool:
        """Children are read after the status: what changes in between is agreed with in the next round."""
        job = self.training_job
        state = job.get("status", {}).get("state")
        if state in ENDS:
            return self.end is not None or self.ended_as() in (state, None)
        if self.ended_as():
            return False
        if decided := self.has_decided():
            return bool(state == decided)
        if not self.mine("job") and self.living():
            return bool(state == "CleaningUp")
        if job["spec"].get("suspend"):
            return bool(state == ("Stopping" if self.living() else "Suspended"))
        jobs = {job["metadata"]["uid"] for job in self.mine("job")}
        done = [pod for pod in self.mine("pod") if pod["status"]["phase"] == "Succeeded"]
        if any(pod["metadata"]["ownerReferences"][0]["uid"] in jobs for pod in done):
            return bool(state == "Running")  # until its Job is complete
        enough = len({pod["metadata"]["annotations"][INDEX] for pod in self.living("Running")}) == self.nodes
        return bool((state == "Running") == enough and state not in ("Suspended", "Queued", None))

    def job_is(self, *kinds: str) -> str | None:
        """Which of these conditions the Job has."""
        conditions = [c for job in self.mine("job") for c in job["status"].get("conditions", [])]
        return next((c["type"] for c in conditions if c["type"] in kinds and c["status"] == "True"), None)

    def ended_as(self) -> str | None:
        """How the Job ended: a result that nobody could read counts as failed, one that is there as won."""
        end = self.job_is(*ENDS)
        return end and ("Complete" if self.has_published() else "Failed")

    def has_decided(self) -> str | None:
        """What is told while the Job has decided how it ends, and its pods are still ending."""
        decided = self.job_is("SuccessCriteriaMet", "FailureTarget")
        won = decided == "SuccessCriteriaMet" or self.has_published()
        return decided and ("Running" if won else "Stopping")

    def has_published(self) -> bool:
        return any(pod["status"]["phase"] == "Succeeded" for pod in self.mine("pod"))

    def children(self) -> list[Any]:
        return [
            (thing["metadata"]["name"], thing["status"]) for k in ("job", "pod") for thing in self.mine(k)
        ]

    @invariant()
    def what_has_ended_stays_as_it_ended(self) -> None:
        status = self.training_job.get("status", {})
        told = {name: value for name, value in status.items() if name != "observedGeneration"}
        if self.end is not None:
            assert told == self.end
        elif told.get("state") in ENDS:
            self.end = told

    @invariant()
    def nothing_is_there_twice(self) -> None:
        assert len(self.mine("job")) <= 1
        living = Counter(pod["metadata"]["annotations"][INDEX] for pod in self.living())
        assert all(count == 1 for count in living.values()), living
        assert len(living) <= self.nodes
        claims = [c for c in self.mine("pvc") if "deletionTimestamp" not in c["metadata"]]
        assert len(claims) <= 1


def test_a_life_in_any_order(api: Any, kubeconfig: Path, config: Config, namespace: Any) -> None:
    assert api
    more = EXAMPLES > USUAL
    run_state_machine_as_test(
        lambda: Life(namespace, kubeconfig, config),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            derandomize=not more,
            database=None,
            phases=[Phase.generate, *([Phase.shrink] if more else [])],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )

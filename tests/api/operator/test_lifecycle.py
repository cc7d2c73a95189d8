"""Several pods, queues, limits and custom containers against a real API server and its Job controller."""

import json
import subprocess
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.binaries import programs
from vaka.devcluster.folders import cache_root
from vaka_operator.manifests.job import MARGIN
from vaka_operator.status import gang

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
NOW = "2026-01-01T00:00:00Z"
RUNS = {"running": {"startedAt": NOW}}
DIGEST = "sha256:" + "a" * 64
MODEL = {"reason": "Succeeded", "model": {"uri": "file:///x", "digest": DIGEST}}


def ended(code: int, report: JSON | None = None, *, why: str = "Error") -> JSON:
    message = json.dumps(report) if report else ""
    times = {"startedAt": NOW, "finishedAt": NOW}
    return {"terminated": {"exitCode": code, "reason": why, "message": message, **times}}


def condition(resource: JSON, kind: str) -> JSON:
    found: list[JSON] = resource["status"]["conditions"]
    return next((c for c in found if c["type"] == kind), {})


def job_has(namespace: Any, kind: str) -> bool:
    conditions = namespace.get("job", "digits")["status"].get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


@pytest.fixture
def pods(namespace: Any, until: Any) -> Callable[..., Awaitable[list[JSON]]]:
    """The living pods by index, as soon as there are so many."""

    async def find(count: int) -> list[JSON]:
        def living() -> list[JSON]:
            found = [p for p in namespace.list("pod") if p["status"]["phase"] in ("Pending", "Running")]
            return found if len(found) == count else []

        found: list[JSON] = await until(living)
        index = "batch.kubernetes.io/job-completion-index"
        return sorted(found, key=lambda pod: int(pod["metadata"]["annotations"][index]))

    return find


async def test_pods_of_one_job_have_numbers_and_names_and_the_first_that_is_done_ends_it(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    namespace.create("tj", training_job(trainer={"numNodes": 3, "minNodes": 2}))
    await train()
    members = await pods(3)
    assert [pod["spec"]["hostname"] for pod in members] == ["digits-0", "digits-1", "digits-2"]
    assert {pod["spec"]["subdomain"] for pod in members} == {"digits-trainer"}
    namespace.set_pod(members[0], "Running", RUNS)
    assert "1 of 3 pods run" in condition(await train(), "Running")["message"]
    namespace.set_pod(members[1], "Running", RUNS)
    job = await train()
    assert job["status"]["state"] == "Running", "two are enough"
    namespace.set_pod(members[1], "Succeeded", ended(0, MODEL))
    await until(lambda: job_has(namespace, "Complete"))
    job = await train()
    assert job["status"]["state"] == "Complete"
    assert job["status"]["model"]["digest"] == DIGEST


def gates(pods: list[JSON]) -> list[Any]:
    return [pod["spec"].get("schedulingGates") for pod in pods]


async def test_pods_hold_nothing_before_all_of_them_are_admitted(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any, eventually: Any
) -> None:
    namespace.create("quota", {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}})
    await until(lambda: namespace.get("quota", "two").get("status", {}).get("hard"))
    namespace.create("tj", training_job(trainer={"numNodes": 3}))
    job = await eventually(train, lambda found: found["status"]["state"] == "PodRefused")
    assert condition(job, "Running")["message"].startswith("0 of 3 pods run; the namespace refuses")
    assert gates(await pods(2)) == [[{"name": "vaka.dev/gang"}]] * 2
    namespace.delete("quota", "two")
    await eventually(train, lambda _: len(namespace.list("pod")) == 3)
    await train()
    assert gates(await pods(3)) == [None] * 3


async def test_all_are_taken_back_where_one_finds_no_node_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
    namespace: Any,
    training_job: Any,
    train: Reconcile,
    pods: Any,
    until: Any,
) -> None:
    monkeypatch.setattr(gang, "PATIENCE", timedelta(days=-1))
    namespace.create("tj", training_job(trainer={"numNodes": 2}))
    await train()
    await pods(2)
    await train()
    first, second = await pods(2)
    namespace.set_status("pod", first["metadata"]["name"], {"conditions": [has_node(True)]})
    namespace.set_status("pod", second["metadata"]["name"], {"conditions": [has_node(False)]})
    await train()
    await until(lambda: not namespace.list("pod"))
    job = await train()
    assert job["status"]["state"] == "Unschedulable"
    assert (
        "no node at all; all were taken back, and are tried again at" in condition(job, "Running")["message"]
    )
    assert "restarts" not in job["status"]
    over = {"metadata": {"annotations": {gang.PAUSED: f"{NOW} no node"}}}
    namespace.patch("job", "digits", over)
    await train()
    await pods(2)


def has_node(yes: bool) -> JSON:
    why = {} if yes else {"reason": "Unschedulable", "message": "no node at all"}
    return {"type": "PodScheduled", "status": str(yes), "lastTransitionTime": NOW, **why}


async def test_a_newer_checkpoint_starts_the_count_of_failures_anew(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    namespace.create("tj", training_job(backoffLimit=2))
    await train()

    async def fail(step: int) -> JSON:
        (pod,) = await pods(1)
        namespace.set_pod(pod, "Running", RUNS)
        await train()
        checkpoint = {"step": step, "uri": "pvc://c", "time": NOW}
        before = namespace.get("job", "digits")["status"].get("failed", 0)
        namespace.set_pod(pod, "Failed", ended(1, {"reason": "Training", "checkpoint": checkpoint}))
        await until(lambda: namespace.get("job", "digits")["status"].get("failed", 0) > before)
        return await train()

    job = await fail(5)
    assert (job["status"]["checkpoint"]["step"], job["status"]["restarts"]) == (5, 1)
    limit = 1 + 2 + MARGIN
    assert namespace.get("job", "digits")["spec"]["backoffLimit"] == limit, "1 that failed and 2 that may"
    job = await fail(5)
    assert namespace.get("job", "digits")["spec"]["backoffLimit"] == limit
    assert job["status"]["restarts"] == 2


async def test_exits_that_do_not_count_and_exits_that_end_it(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}
    namespace.create("tj", training_job(backoffLimit=0, failurePolicy={"rules": [rule]}))
    await train()
    for code in (143, 75):
        (pod,) = await pods(1)
        namespace.set_pod(pod, "Failed", ended(code))
        name = pod["metadata"]["name"]
        await until(lambda name=name: any(p["metadata"]["name"] != name for p in namespace.list("pod")))
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Failed", ended(3))
    await until(lambda: job_has(namespace, "Failed"))
    job = await train()
    assert (job["status"]["state"], job["status"]["failure"]["exitCode"]) == ("Failed", 3)


async def test_a_pod_that_used_too_much_memory_says_so(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, eventually: Any
) -> None:
    namespace.create("tj", training_job(backoffLimit=0))
    await train()
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Failed", ended(137, why="OOMKilled"))
    job = await eventually(train, lambda found: found["status"]["state"] == "Failed")
    assert condition(job, "Failed")["reason"] == "OutOfMemory"
    assert job["status"]["failure"]["exitCode"] == 137


async def test_a_wrong_field_that_only_pods_know_is_named(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    namespace.create("tj", training_job(trainer={"affinity": {"nodeAfinity": {}}}))
    job = await train()
    assert job["status"]["state"] == "InvalidSpec"
    assert "affinity.nodeAfinity" in condition(job, "Running")["message"]
    namespace.patch("tj", "digits", {"spec": {"trainer": {"affinity": None}}})
    assert (await train())["status"]["state"] != "InvalidSpec"


async def test_a_custom_container_completes_without_a_word(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    model = {"architecture": "custom", "hyperparameters": {"mine": 1}}
    namespace.create("tj", training_job(model=model, trainer={"image": "mine"}))
    await train()
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Running", RUNS)
    assert condition(await train(), "Running")["reason"] == "Training"
    namespace.set_pod(pod, "Succeeded", ended(0))
    await until(lambda: job_has(namespace, "Complete"))
    job = await train()
    assert (job["status"]["state"], job["status"].get("model")) == ("Complete", None)


async def test_others_manage_what_is_managed_by_others(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    namespace.create("tj", training_job(managedBy="kueue.x-k8s.io/multikueue"))
    namespace.create("tj", training_job("ours", managedBy="vaka.dev/trainingjob-controller"))
    assert "status" not in await train()
    assert (await train("ours"))["status"]["state"] == "JobCreated"
    assert [job["metadata"]["name"] for job in namespace.list("job")] == ["ours"]


async def test_a_finished_job_is_deleted_when_its_time_is_over(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    namespace.create("tj", training_job(ttlSecondsAfterFinished=10**9))
    done = {"type": "Complete", "status": "True", "reason": "Succeeded", "message": ""}
    ended = {"completionTime": NOW, "conditions": [done | {"lastTransitionTime": NOW}]}
    namespace.set_status("tj", "digits", ended)
    assert (await train())["metadata"]["name"] == "digits", "not yet"
    namespace.patch("tj", "digits", {"spec": {"ttlSecondsAfterFinished": 3600}})
    with pytest.raises(Exception, match="not found"):
        await train()


def kueue(namespace: Any, *, admit: bool, **injected: Any) -> None:
    """What Kueue does to a Job: to admit it sets what the pods need and starts it, to preempt it stops it."""
    if admit:
        namespace.patch("job", "digits", {"spec": {"template": {"spec": injected}}})
    namespace.patch("job", "digits", {"spec": {"suspend": not admit}})


async def test_a_queue_decides_when_a_job_runs_and_nobody_fights_it(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    namespace.create("tj", training_job(queueName="team"))
    job = await train()
    assert (job["status"]["state"], condition(job, "Queued")["status"]) == ("Queued", "True")
    made = namespace.get("job", "digits")
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert {entry["operation"] for entry in made["metadata"]["managedFields"]} <= {"Update"}
    kueue(namespace, admit=True, nodeSelector={"pool": "gpu"})
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Running", RUNS)
    job = await train()
    assert (job["status"]["state"], condition(job, "Queued")["reason"]) == ("Running", "Admitted")
    live = namespace.get("job", "digits")
    assert live["metadata"]["uid"] == made["metadata"]["uid"]
    assert live["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}

    kueue(namespace, admit=False)
    await until(lambda: not namespace.list("pod"))
    job = await train()
    assert (job["status"]["state"], condition(job, "Queued")["status"]) == ("Queued", "True")
    assert "restarts" not in job["status"]
    kueue(namespace, admit=True, nodeSelector={"pool": "cpu"})
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Running", RUNS)
    assert (await train())["status"]["state"] == "Running"
    assert namespace.get("job", "digits")["metadata"]["uid"] == made["metadata"]["uid"]


async def test_to_be_preempted_is_no_restart(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any
) -> None:
    namespace.create("tj", training_job(queueName="team"))
    await train()
    kueue(namespace, admit=True)
    (pod,) = await pods(1)
    namespace.bind(pod, "node-1")
    namespace.set_pod(pod, "Running", RUNS)
    await train()
    kueue(namespace, admit=False)
    assert (await train())["status"]["state"] == "Stopping"
    saved = {"step": 120, "uri": "pvc://c", "time": NOW}
    namespace.delete("pod", pod["metadata"]["name"])  # as its Job does, too
    namespace.set_pod(pod, "Failed", ended(143, {"reason": "Training", "checkpoint": saved}))
    status = (await train())["status"]
    assert (status["state"], status["checkpoint"]["step"]) == ("Queued", 120)
    assert "restarts" not in status


async def test_why_a_queue_does_not_admit_is_told(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    namespace.create("tj", training_job(queueName="team"))
    await train()
    for name, note in (("job-digits-1a2b3", "insufficient unused quota for cpu"), ("job-other-1", "no")):
        regarding = {"kind": "Workload", "name": name, "namespace": namespace.name}
        event = {"metadata": {"name": f"{name}.1"}, "eventTime": "2026-01-01T00:00:00.000000Z", "note": note}
        names = {"reportingController": "kueue", "reportingInstance": "k", "action": "Q", "reason": "Pending"}
        namespace.create("event", {**event, **names, "type": "Normal", "regarding": regarding})
    assert "insufficient unused quota for cpu" in condition(await train(), "Queued")["message"]


async def test_a_suspended_job_leaves_its_queue_and_comes_back(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    namespace.create("tj", training_job(queueName="team"))
    await train()
    kueue(namespace, admit=True)
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Running", RUNS)
    await train()
    namespace.patch("tj", "digits", {"spec": {"suspend": True}})
    await train()
    await until(lambda: not namespace.list("job") and not namespace.list("pod"))
    assert (await train())["status"]["state"] == "Suspended"
    namespace.patch("tj", "digits", {"spec": {"suspend": False}})
    job = await train()
    assert (job["status"]["state"], condition(job, "Suspended")["status"]) == ("Queued", "False")
    assert namespace.get("job", "digits")["spec"]["suspend"]


async def test_people_can_wait_for_the_end_with_kubectl(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any, kubeconfig: Path
) -> None:
    namespace.create("tj", training_job())
    await train()
    kubectl = [str(programs(cache_root())["kubectl"]), f"--kubeconfig={kubeconfig}", "-n", namespace.name]
    waits = subprocess.Popen([*kubectl, "wait", "--for=condition=Complete", "tj/digits", "--timeout=120s"])
    (pod,) = await pods(1)
    namespace.set_pod(pod, "Succeeded", ended(0, MODEL))
    await until(lambda: job_has(namespace, "Complete"))
    await train()
    assert waits.wait(120) == 0
    shown = subprocess.run([*kubectl, "get", "tj"], capture_output=True, text=True, check=True).stdout
    assert shown.split()[:8] == ["NAME", "ARCH", "STATE", "PROGRESS", "ETA", "METRIC", "MODEL", "AGE"]
    assert shown.split()[8:12] == ["digits", "cnn", "Complete", "100%"]


async def test_a_lost_job_is_made_again_only_when_its_pods_have_ended(
    namespace: Any, training_job: Any, train: Reconcile, pods: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    (pod,) = await pods(1)
    namespace.bind(pod, "node-1")
    namespace.set_pod(pod, "Running", RUNS)
    await train()
    namespace.delete("job", "digits", propagationPolicy="Background")
    await until(lambda: "deletionTimestamp" in namespace.list("pod")[0]["metadata"])
    job = await train()
    assert (job["status"]["state"], namespace.list("job")) == ("CleaningUp", [])
    namespace.delete("pod", pod["metadata"]["name"], gracePeriodSeconds=0)
    await until(lambda: not namespace.list("pod"))
    await train()
    assert len(namespace.list("job")) == 1

"""Pods that are killed from outside, against a real API server and its Job controller."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from vaka_operator.cluster import Conflict
from vaka_operator.handlers import trainingjobs
from vaka_operator.manifests.job import MARGIN
from vaka_operator.status import kills

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
End = Callable[..., Awaitable[JSON]]
NOW = "2026-01-01T00:00:00Z"
DIGEST = "sha256:" + "a" * 64


def ended(code: int, *, why: str = "Error", message: str = "", at: str = NOW) -> JSON:
    times = {"startedAt": NOW, "finishedAt": at}
    return {"terminated": {"exitCode": code, "reason": why, "message": message, **times}}


def told(job: JSON, kind: str) -> str:
    return next(str(c["message"]) for c in job["status"]["conditions"] if c["type"] == kind)


@pytest.fixture
def counted(namespace: Any) -> Callable[[], int]:
    """How many pods the Job controller has counted as failed."""
    return lambda: int(namespace.get("job", "digits")["status"].get("failed", 0))


@pytest.fixture
def forgiven(namespace: Any) -> Callable[[], int]:
    return lambda: kills.forgiven(namespace.get("job", "digits")).failures


@pytest.fixture
def running(namespace: Any, until: Any) -> Callable[[], Awaitable[JSON]]:
    """The next pod, as soon as it runs."""

    async def run() -> JSON:
        def pending() -> list[JSON]:
            return [pod for pod in namespace.list("pod") if pod["status"]["phase"] == "Pending"]

        pod: JSON = (await until(pending))[0]
        namespace.set_pod(pod, "Running", {"running": {"startedAt": NOW}})
        return pod

    return run


@pytest.fixture
def end(namespace: Any, until: Any, running: Any, counted: Callable[[], int]) -> End:
    """The next pod runs and ends like this, and the Job controller counts it.

    Gives what `meanwhile` gives; the kubelet has told of the container's end then, and not of the pod's.
    """

    async def play(code: int, *, meanwhile: Reconcile | None = None, **fields: Any) -> JSON:
        pod: JSON = await running()
        before = counted()
        namespace.set_pod(pod, "Running", ended(code, **fields))
        found = await meanwhile() if meanwhile else pod
        namespace.set_pod(pod, "Failed", ended(code, **fields))
        await until(lambda: counted() > before)
        return found

    return play


async def test_twelve_kills_in_a_row_leave_a_job_running_that_may_not_fail_once(
    namespace: Any, training_job: Any, train: Reconcile, end: End, running: Any, forgiven: Any
) -> None:
    namespace.create("tj", training_job(backoffLimit=0))
    await train()
    for attempt in range(1, 13):
        job = await end(137, meanwhile=train)
        assert (job["status"]["state"], job["status"]["restarts"]) == ("Restarting", attempt)
        message = told(job, "Restarting")
        assert message.startswith(f"attempt {attempt + 1} follows: digits-0-")
        assert message.endswith("failed: the pod was killed (SIGKILL) from outside; it does not count")
        assert forgiven() == attempt
    await running()
    assert (await train())["status"]["state"] == "Running"


def just_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("code", "anew"), [(137, True), (1, False)], ids=["kill", "error"])
async def test_only_what_has_failed_itself_waits_longer_and_longer(
    namespace: Any, training_job: Any, train: Reconcile, end: End, until: Any, code: int, anew: bool
) -> None:
    namespace.create("tj", training_job())
    await train()
    first = namespace.get("job", "digits")["metadata"]["uid"]
    await end(137)
    await train()
    await end(code, at=just_now())
    await until(lambda: not any(p["metadata"].get("finalizers") for p in namespace.list("pod")))
    before = await train()
    assert bool([j for j in namespace.list("job") if j["metadata"]["uid"] == first]) != anew
    job = await train()
    assert (job["status"]["state"], job["status"]["restarts"]) == ("Restarting", 2)
    assert told(job, "Restarting") == told(before, "Restarting")
    assert (namespace.get("job", "digits")["metadata"]["uid"] != first) == anew


async def test_kills_that_nobody_saw_in_time_do_not_end_the_job(
    namespace: Any, training_job: Any, train: Reconcile, end: End, forgiven: Any
) -> None:
    namespace.create("tj", training_job(backoffLimit=0))
    await train()
    for _ in range(3):
        await end(137)
    assert (await train())["status"]["restarts"] == 3
    assert forgiven() == 3
    assert namespace.get("job", "digits")["spec"]["backoffLimit"] == 3 + MARGIN


@pytest.mark.parametrize(
    ("code", "why", "text"),
    [(1, "Error", "exit code 1"), (137, "OOMKilled", "used more memory than its limit")],
    ids=["error", "memory"],
)
async def test_failures_of_its_own_end_the_job_exactly_at_the_limit(
    namespace: Any,
    training_job: Any,
    train: Reconcile,
    end: End,
    eventually: Any,
    code: int,
    why: str,
    text: str,
) -> None:
    namespace.create("tj", training_job(backoffLimit=3))
    await train()
    for failures in range(1, 4):
        await end(137, meanwhile=train)
        job = await end(code, why=why, meanwhile=train)
        assert text in told(job, "Restarting")
        await train()
        job = namespace.get("job", "digits")
        assert (kills.own_failures(job), job["spec"]["backoffLimit"]) == (failures, failures + 3 + MARGIN)
    last = await end(code, why=why)
    job = await eventually(train, lambda found: found["status"]["state"] == "Failed")
    message = told(job, "Failed")
    assert message.startswith("it failed more often in a row than spec.backoffLimit, 3: the last, ")
    assert text in message
    assert job["status"]["failure"]["pod"] == last["metadata"]["name"]
    # The times of these ends are long ago: the Job may make another pod before it gives up.
    assert job["status"]["restarts"] in (6, 7)


async def test_a_killed_pod_is_forgiven_at_first_sight_and_a_deleted_one_too(
    namespace: Any, training_job: Any, train: Reconcile, running: Any, until: Any, counted: Any, forgiven: Any
) -> None:
    namespace.create("tj", training_job(backoffLimit=0))
    await train()
    pod = await running()
    name = pod["metadata"]["name"]
    namespace.bind(pod, "node-1")
    namespace.set_pod(pod, "Running", ended(137))
    job = await train()
    assert (forgiven(), counted()) == (1, 0)
    assert "the pod was killed (SIGKILL) from outside; it does not count" in told(job, "Restarting")
    namespace.delete("pod", name, gracePeriodSeconds=0)
    namespace.set_pod(pod, "Failed", ended(137))
    await until(lambda: all(p["metadata"]["name"] != name for p in namespace.list("pod")))
    await until(lambda: counted() == 1)
    job = await train()
    assert (forgiven(), job["status"]["restarts"]) == (1, 1)


async def test_a_newer_checkpoint_remembers_the_killed_pods_that_are_there(
    namespace: Any, training_job: Any, train: Reconcile, end: End, forgiven: Any
) -> None:
    namespace.create("tj", training_job(backoffLimit=1))
    await train()
    await end(137)
    await end(1)
    saved = {"step": 5, "uri": "pvc://c", "time": NOW}
    await end(137, message=json.dumps({"reason": "Training", "checkpoint": saved}))
    job = await train()
    assert job["status"]["checkpoint"]["step"] == 5
    assert forgiven() == 3
    await end(137)
    await train()
    assert forgiven() == 4
    job = namespace.get("job", "digits")
    assert (kills.own_failures(job), job["spec"]["backoffLimit"]) == (0, 4 + 1 + MARGIN)


class Died(Exception):
    """What ends the operator."""


async def test_an_operator_that_dies_between_two_writes_forgives_nobody_twice_or_never(
    monkeypatch: pytest.MonkeyPatch,
    world: Any,
    namespace: Any,
    training_job: Any,
    train: Reconcile,
    end: End,
    forgiven: Any,
) -> None:
    call, left = world.cluster._call, 0

    async def mortal(method: str, path: str, **options: Any) -> Any:
        nonlocal left
        if method != "GET":
            if left == 0:
                raise Died
            left -= 1
        return await call(method, path, **options)

    async def die_after(writes: int) -> bool:
        """Whether it died."""
        nonlocal left
        left = writes
        with monkeypatch.context() as patched:
            patched.setattr(world.cluster, "_call", mortal)
            try:
                await trainingjobs.reconcile(world, namespace.name, "digits")
            except Conflict:
                return await die_after(writes)
            except Died:
                return True
        return False

    namespace.create("tj", training_job(backoffLimit=0))
    await train()
    writes = 0
    died = True
    while died:
        await end(137)
        died = await die_after(writes)
        await die_after(0)
        await train()
        writes += 1
        assert forgiven() == writes
    assert writes > 2, "the Job, an event and the status"
    assert (await train())["status"]["restarts"] == writes


async def test_a_model_that_was_published_as_the_deadline_struck_completes_the_job(
    namespace: Any, training_job: Any, train: Reconcile, running: Any, until: Any
) -> None:
    namespace.create("tj", training_job(activeDeadlineSeconds=3600))
    await train()
    pod = await running()
    await train()
    # The controller fails the Job before it hears of the pod's end.
    model = json.dumps({"reason": "Succeeded", "model": {"uri": "file:///x", "digest": DIGEST}})
    name = pod["metadata"]["name"]
    namespace.patch("pod", name, {"metadata": {"finalizers": [kills.TRACKING, "test.vaka.dev/hold"]}})
    namespace.patch("job", "digits", {"spec": {"activeDeadlineSeconds": 1}})
    await until(lambda: "deletionTimestamp" in namespace.get("pod", name)["metadata"])
    namespace.set_pod(pod, "Succeeded", ended(0, message=model))

    def has_failed() -> bool:
        found = namespace.get("job", "digits")["status"].get("conditions", [])
        return any(c["type"] == "Failed" and c["status"] == "True" for c in found)

    await until(has_failed)
    job = await train()
    assert (job["status"]["state"], job["status"]["model"]["digest"]) == ("Complete", DIGEST)
    assert "failure" not in job["status"]
    namespace.patch("pod", name, {"metadata": {"finalizers": None}})

"""The reconcile of TrainingJobs against a real API server."""

import asyncio
import contextlib
import dataclasses
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from vaka.api.contract import REPORT_PORT
from vaka_operator.handlers import trainingjobs

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
NOW = "2026-01-01T00:00:00Z"
DIGEST = "sha256:" + "a" * 64
REPORT = {
    "reason": "Succeeded",
    "message": "",
    "model": {"uri": "file:///x", "digest": DIGEST, "metrics": [{"name": "accuracy", "value": "0.99"}]},
}
CHILDREN = ("job", "pvc", "netpol", "service", "deployment", "pdb")


def condition(resource: JSON, kind: str) -> JSON:
    found: list[JSON] = resource["status"]["conditions"]
    return next((c for c in found if c["type"] == kind), {})


def versions(namespace: Any) -> dict[tuple[str, str], str]:
    """The resourceVersion of everything that a reconcile may touch."""
    return {
        (kind, thing["metadata"]["name"]): thing["metadata"]["resourceVersion"]
        for kind in ("tj", *CHILDREN)
        for thing in namespace.list(kind)
    }


def ended(code: int, message: str) -> JSON:
    times = {"startedAt": NOW, "finishedAt": NOW}
    return {"terminated": {"exitCode": code, "reason": "Completed", "message": message, **times}}


@pytest.fixture
def pod_of(namespace: Any, until: Any) -> Callable[..., Awaitable[JSON]]:
    """The pod that the Job controller made."""

    async def find() -> JSON:
        pods: list[JSON] = await until(lambda: namespace.list("pod"))
        return pods[-1]

    return find


async def test_a_reconcile_makes_exactly_the_children(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    namespace.create("tj", training_job())
    job = await train()
    made = {(kind, thing["metadata"]["name"]) for kind in CHILDREN for thing in namespace.list(kind)}
    assert made == {
        ("job", "digits"),
        ("pvc", "digits-model"),
        ("netpol", "digits-trainer"),
        ("service", "digits-trainer"),
    }
    assert condition(job, "Created")["status"] == "True"
    assert job["status"]["observedGeneration"] == job["metadata"]["generation"]


async def test_a_second_reconcile_changes_nothing(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    pod = await pod_of()
    namespace.set_pod(pod, "Pending", {"waiting": {"reason": "ContainerCreating"}})
    await until(lambda: namespace.get("job", "digits")["status"].get("active"))
    await train()
    before = versions(namespace)
    await train()
    assert versions(namespace) == before


async def test_two_operators_at_once_make_nothing_twice(
    world: Any, namespace: Any, training_job: Any
) -> None:
    namespace.create("tj", training_job())
    await asyncio.gather(
        *(trainingjobs.reconcile(world, namespace.name, "digits") for _ in range(5)), return_exceptions=True
    )
    assert [len(namespace.list(kind)) for kind in ("job", "pvc", "netpol")] == [1, 1, 1]


async def test_the_pod_is_admitted_where_only_restricted_pods_are(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    assert (await pod_of())["spec"]["securityContext"]["runAsNonRoot"]


async def test_a_wrong_hyperparameter_is_told_and_healed_by_an_edit(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    wrong = {"architecture": "cnn", "hyperparameters": {"epochs": 0}}
    namespace.create("tj", training_job(model=wrong))
    job = await train()
    assert job["status"]["state"] == "InvalidSpec"
    assert "hyperparameters.epochs is 0" in condition(job, "Running")["message"]
    assert namespace.list("job") == []
    namespace.patch("tj", "digits", {"spec": {"model": {"hyperparameters": {"epochs": 1}}}})
    job = await train()
    assert job["status"]["state"] != "InvalidSpec"
    assert len(namespace.list("job")) == 1


async def test_what_only_the_api_server_can_judge_is_told_too(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    more_than_allowed = {"requests": {"cpu": 2}, "limits": {"cpu": 1}}
    namespace.create("tj", training_job(trainer={"resourcesPerNode": more_than_allowed}))
    job = await train()
    assert job["status"]["state"] == "InvalidSpec"
    assert "must be less than or equal to cpu limit" in condition(job, "Running")["message"]


async def test_an_edit_before_training_began_makes_the_job_anew(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any, until: Any
) -> None:
    namespace.create("tj", training_job(trainer={"image": "typo"}))
    await train()
    namespace.set_pod(
        await pod_of(),
        "Pending",
        {"waiting": {"reason": "ImagePullBackOff", "message": "no typo"}},
    )
    assert (await train())["status"]["state"] == "ImagePullFailed"
    first = namespace.get("job", "digits")["metadata"]["uid"]
    namespace.patch("tj", "digits", {"spec": {"trainer": {"image": "right"}}})
    assert (await train())["status"]["state"] == "CleaningUp"
    await until(lambda: not namespace.list("pod"))
    await train()
    job = namespace.get("job", "digits")
    assert job["metadata"]["uid"] != first
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "right"


async def test_suspending_reaches_the_job_without_making_it_anew(
    namespace: Any, training_job: Any, train: Reconcile, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    uid = namespace.get("job", "digits")["metadata"]["uid"]
    namespace.patch("tj", "digits", {"spec": {"suspend": True}})
    await train()
    await until(lambda: not namespace.list("pod"))
    job = await train()
    assert (job["status"]["state"], condition(job, "Suspended")["status"]) == ("Suspended", "True")
    namespace.patch("tj", "digits", {"spec": {"suspend": False, "activeDeadlineSeconds": 99}})
    job = await train()
    assert condition(job, "Suspended")["status"] == "False"
    spec = namespace.get("job", "digits")
    assert (spec["metadata"]["uid"], spec["spec"]["activeDeadlineSeconds"]) == (uid, 99)


async def test_a_job_ends_complete_and_stays_so_when_its_children_are_gone(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    namespace.set_pod(await pod_of(), "Succeeded", ended(0, json.dumps(REPORT)))
    await until(lambda: namespace.get("job", "digits")["status"].get("succeeded"))
    await until(lambda: namespace.get("job", "digits")["status"].get("completionTime"))
    job = await train()
    assert (job["status"]["state"], job["status"]["progress"]) == ("Complete", "100%")
    assert job["status"]["model"] == REPORT["model"] | {"uri": "pvc://digits-model/digits"}

    namespace.delete("job", "digits", propagationPolicy="Background")
    namespace.patch("tj", "digits", {"spec": {"suspend": True}})
    again = await train()
    assert namespace.list("job") == []
    assert again["status"] == job["status"] | {"observedGeneration": again["metadata"]["generation"]}


@contextlib.asynccontextmanager
async def trainer(body: str) -> AsyncIterator[str]:
    """A trainer's endpoint on a loopback address of its own; yields the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body.encode())
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    address = f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 | 1}"
    async with await asyncio.start_server(answer, address, REPORT_PORT):
        yield address


@pytest.mark.parametrize(
    ("body", "state", "progress"),
    [
        (
            '{"reason": "Training", "progressPercentage": 42, "estimatedRemainingSeconds": 80}',
            "Running",
            "42%",
        ),
        (
            '{"reason": "StorageUnreachable", "message": "no s3", "waiting": true}',
            "StorageUnreachable",
            None,
        ),
        ("not JSON", "Running", None),
        ("[" * 1_000_000, "Running", None),
    ],
    ids=["progress", "waiting", "nonsense", "too much"],
)
async def test_what_the_trainer_reports_is_shown(
    namespace: Any,
    training_job: Any,
    train: Reconcile,
    pod_of: Any,
    body: str,
    state: str,
    progress: str | None,
) -> None:
    namespace.create("tj", training_job())
    await train()
    pod = await pod_of()
    namespace.set_pod(pod, "Running", {"running": {"startedAt": NOW}})
    async with trainer(body) as address:
        namespace.set_status("pod", pod["metadata"]["name"], {"podIP": address, "podIPs": [{"ip": address}]})
        status = (await train())["status"]
    assert (status["state"], status.get("progress")) == (state, progress)


async def test_a_permanent_failure_is_final_at_the_first_attempt(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    report = json.dumps({"reason": "DatasetInvalid", "message": "train/7.png is empty"})
    namespace.set_pod(await pod_of(), "Failed", ended(65, report))

    def failed() -> bool:
        found = namespace.get("job", "digits")["status"].get("conditions", [])
        return any(c["type"] == "Failed" for c in found)

    await until(failed)
    job = await train()
    assert job["status"]["state"] == "Failed"
    assert job["status"]["failure"] == {
        "reason": "DatasetInvalid",
        "message": "train/7.png is empty",
        "pod": (await pod_of())["metadata"]["name"],
        "exitCode": 65,
    }
    assert "restarts" not in job["status"]


async def test_a_failed_attempt_is_followed_by_another(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    namespace.set_pod(await pod_of(), "Failed", ended(1, "boom"))
    await until(lambda: namespace.get("job", "digits")["status"].get("failed"))
    assert (await train())["status"]["restarts"] == 1
    await until(lambda: len(namespace.list("pod")) == 2)
    await train()
    assert len(namespace.list("job")) == 1


async def test_a_quota_that_refuses_the_pod_is_told_and_the_job_tried_again_when_it_is_gone(
    namespace: Any, training_job: Any, train: Reconcile, until: Any, eventually: Any
) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    namespace.create("quota", quota)
    await until(lambda: namespace.get("quota", "none").get("status", {}).get("hard"))
    namespace.create("tj", training_job())
    job = await eventually(train, lambda found: found["status"]["state"] == "PodRefused", seconds=10)
    assert "exceeded quota: none" in condition(job, "Running")["message"]
    namespace.delete("quota", "none")
    await eventually(train, lambda found: found["status"]["state"] != "PodRefused", seconds=20)
    assert len(namespace.list("pod")) == 1


async def test_a_webhook_of_others_that_does_not_answer_is_told_and_the_job_tried_again(
    api: Any, namespace: Any, training_job: Any, train: Reconcile, eventually: Any
) -> None:
    webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    jobs = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    hook = {
        "name": "nobody.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [jobs],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api("POST", webhooks, {"metadata": {"name": namespace.name}, "webhooks": [hook]})
    try:
        namespace.create("tj", training_job())
        job = await eventually(train, lambda found: found["status"]["state"] == "ObjectRefused", seconds=10)
        assert 'failed calling webhook "nobody.example.com"' in condition(job, "Running")["message"]
    finally:
        api("DELETE", f"{webhooks}/{namespace.name}")
    await eventually(train, lambda found: found["status"]["state"] != "ObjectRefused", seconds=20)
    assert len(namespace.list("job")) == 1


async def test_a_job_of_somebody_else_is_left_alone(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    theirs = namespace.create("job", {"metadata": {"name": "digits"}, "spec": {"template": {"spec": pod}}})
    namespace.create("tj", training_job())
    job = await train()
    assert job["status"]["state"] == "NameTaken"
    assert namespace.get("job", "digits")["spec"] == theirs["spec"]


async def test_a_lost_job_is_made_again(
    namespace: Any, training_job: Any, train: Reconcile, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    namespace.delete("job", "digits", propagationPolicy="Background")
    await until(lambda: not namespace.list("pod"))
    await train()
    assert len(namespace.list("job")) == 1


async def test_a_claim_that_is_still_served_from_does_not_hold_up_the_next_run(
    namespace: Any, training_job: Any, train: Reconcile, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    namespace.patch("pvc", "digits-model", {"metadata": {"finalizers": ["test.vaka.dev/in-use"]}})
    namespace.delete("tj", "digits", propagationPolicy="Background")
    await until(lambda: "deletionTimestamp" in namespace.get("pvc", "digits-model")["metadata"])
    await until(lambda: not namespace.list("pod") and not namespace.list("job"))
    uid = namespace.create("tj", training_job())["metadata"]["uid"]
    await train()
    (volume,) = [
        v["persistentVolumeClaim"]["claimName"]
        for v in namespace.get("job", "digits")["spec"]["template"]["spec"]["volumes"]
        if v["name"] == "output"
    ]
    assert volume == f"digits-model-{uid[:8]}"
    namespace.patch("pvc", "digits-model", {"metadata": {"finalizers": None}})


async def test_what_a_former_job_left_behind_on_purpose_is_taken_over_but_its_run(
    namespace: Any, training_job: Any, train: Reconcile, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    namespace.delete("tj", "digits", propagationPolicy="Orphan")
    await until(lambda: not namespace.list("tj"))
    uid = namespace.create("tj", training_job())["metadata"]["uid"]
    assert (await train())["status"]["state"] == "NameTaken"
    namespace.delete("job", "digits", propagationPolicy="Background")
    await until(lambda: not namespace.list("pod"))
    await train()
    for kind, name in (("job", "digits"), ("pvc", "digits-model"), ("netpol", "digits-trainer")):
        (reference,) = namespace.get(kind, name)["metadata"]["ownerReferences"]
        assert reference["uid"] == uid


async def test_a_newer_operator_does_not_disturb_a_run_that_nobody_saw_begin(
    world: Any, namespace: Any, training_job: Any, train: Reconcile, pod_of: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    uid = namespace.get("job", "digits")["metadata"]["uid"]
    newer = dataclasses.replace(world, config=dataclasses.replace(world.config, trainer_image="trainer:2"))
    namespace.set_pod(await pod_of(), "Running", {"running": {"startedAt": NOW}})
    await trainingjobs.reconcile(newer, namespace.name, "digits")
    namespace.set_pod(await pod_of(), "Succeeded", ended(0, json.dumps(REPORT)))
    await until(lambda: namespace.get("job", "digits")["status"].get("completionTime"))
    await trainingjobs.reconcile(newer, namespace.name, "digits")
    assert namespace.get("job", "digits")["metadata"]["uid"] == uid
    assert namespace.get("tj", "digits")["status"]["state"] == "Complete"


async def test_nothing_is_made_for_a_job_that_is_being_deleted(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    manifest = training_job()
    manifest["metadata"]["finalizers"] = ["test.vaka.dev/hold"]
    namespace.create("tj", manifest)
    namespace.delete("tj", "digits")
    await train()
    assert namespace.list("job") == []
    namespace.patch("tj", "digits", {"metadata": {"finalizers": None}})


async def test_people_find_nothing_of_the_operator_in_what_they_wrote(
    namespace: Any, training_job: Any, train: Reconcile
) -> None:
    namespace.create("tj", training_job())
    meta = (await train())["metadata"]
    assert "finalizers" not in meta
    assert "annotations" not in meta


async def test_each_change_of_state_is_an_event_once(
    namespace: Any, training_job: Any, train: Reconcile, pod_of: Any
) -> None:
    namespace.create("tj", training_job())
    await train()
    namespace.set_pod(
        await pod_of(), "Pending", {"waiting": {"reason": "ErrImagePull", "message": "not there"}}
    )
    for _ in range(3):
        await train()
    told = [e for e in namespace.list("event") if e["regarding"]["kind"] == "TrainingJob"]
    reasons = [e["reason"] for e in told]
    assert len(reasons) == len(set(reasons))
    assert {e["type"] for e in told if e["reason"] == "ImagePullFailed"} == {"Warning"}

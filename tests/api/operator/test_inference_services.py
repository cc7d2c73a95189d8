"""The reconcile of InferenceServices against a real API server and its Deployment controller."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from vaka_operator.handlers import predictors

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
NOW = "2026-01-01T00:00:00Z"
FIRST, SECOND = "sha256:" + "1" * 64, "sha256:" + "2" * 64
STORED = {"storageUri": "s3://bucket/digits", "digest": FIRST}


def ready(resource: JSON) -> JSON:
    found: list[JSON] = resource["status"]["conditions"]
    return next(c for c in found if c["type"] == "Ready")


def set_ready(namespace: Any, pod: JSON) -> None:
    """What a kubelet would say of a server that has loaded its model."""
    running = {
        "name": "server",
        "image": "server:1",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": NOW}},
    }
    is_ready = {"type": "Ready", "status": "True"}
    status = {"phase": "Running", "conditions": [is_ready], "containerStatuses": [running]}
    namespace.set_status("pod", pod["metadata"]["name"], status)


def complete(namespace: Any, digest: str, job: str = "digits") -> None:
    """What the operator says of a job whose model is published."""
    model = {"uri": "pvc://digits-model/digits", "digest": digest}
    namespace.set_status("tj", job, {"state": "Complete", "model": model})


def following(**reference: Any) -> JSON:
    return {"trainingJobRef": {"follow": True} | reference}


def change_of_reference(**fields: Any) -> JSON:
    return {"spec": {"predictor": {"model": {"trainingJobRef": fields}}}}


def arguments(deployment: JSON) -> list[str]:
    args: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return args


@pytest.fixture
def new_pod(namespace: Any, until: Any) -> Callable[..., Awaitable[JSON]]:
    """A pod that serves this digest."""

    async def find(digest: str) -> JSON:
        def serving() -> list[JSON]:
            return [
                pod
                for pod in namespace.list("pod")
                if pod["metadata"]["annotations"]["vaka.dev/model-digest"] == digest
            ]

        pods: list[JSON] = await until(serving)
        return pods[0]

    return find


@pytest.fixture
def is_served(
    namespace: Any, serve: Reconcile, new_pod: Any, eventually: Any
) -> Callable[[str], Awaitable[JSON]]:
    """Reconcile, and play the kubelet, until the model of this digest is served alone; the service then."""

    async def served(digest: str) -> JSON:
        await serve()
        set_ready(namespace, await new_pod(digest))

        def is_ready(service: JSON) -> bool:
            status = service["status"]
            return bool(status["state"] == "Ready" and status["modelStatus"]["digest"] == digest)

        found: JSON = await eventually(serve, is_ready)
        return found

    return served


async def test_a_reconcile_makes_exactly_the_children_and_a_second_changes_nothing(
    namespace: Any, inference_service: Any, serve: Reconcile, new_pod: Any, until: Any
) -> None:
    namespace.create("isvc", inference_service(model=STORED))
    await serve()
    set_ready(namespace, await new_pod(FIRST))
    await until(lambda: namespace.get("deployment", "digits-predictor")["status"].get("readyReplicas"))
    assert (await serve())["status"]["state"] == "Ready"

    def everything() -> dict[tuple[str, str], str]:
        kinds = ("isvc", "deployment", "service", "netpol", "pdb", "job", "pvc")
        return {
            (kind, thing["metadata"]["name"]): thing["metadata"]["resourceVersion"]
            for kind in kinds
            for thing in namespace.list(kind)
        }

    before = everything()
    assert set(before) == {
        ("isvc", "digits"),
        ("deployment", "digits-predictor"),
        ("service", "digits"),
        ("service", "digits-predictor"),
        ("netpol", "digits-predictor"),
        ("pdb", "digits-predictor"),
    }
    await serve()
    assert everything() == before


async def test_a_ready_service_tells_its_address_and_its_model(
    namespace: Any, inference_service: Any, serve: Reconcile, new_pod: Any, until: Any
) -> None:
    namespace.create("isvc", inference_service(model=STORED))
    assert (await serve())["status"]["state"] != "Ready"
    set_ready(namespace, await new_pod(FIRST))
    await until(lambda: namespace.get("deployment", "digits-predictor")["status"].get("readyReplicas"))
    status = (await serve())["status"]
    url = f"http://digits.{namespace.name}.svc.cluster.local"
    assert (status["url"], status["address"], status["replicas"]["ready"]) == (url, {"url": url}, 1)
    assert status["modelStatus"] == {
        "transitionStatus": "UpToDate",
        "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
        "uri": "s3://bucket/digits",
        "digest": FIRST,
    }


async def test_a_service_waits_for_its_job(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile, is_served: Any
) -> None:
    namespace.create("isvc", inference_service())
    assert ready(await serve())["reason"] == "TrainingJobNotFound"
    namespace.create("tj", training_job())
    namespace.set_status("tj", "digits", {"state": "Running"})
    waiting = ready(await serve())
    assert waiting["reason"] == "WaitingForTrainingJob"
    assert "it is Running" in waiting["message"]
    assert namespace.list("deployment") == []
    complete(namespace, FIRST)
    await is_served(FIRST)


async def test_a_follower_serves_each_new_result_and_the_old_one_until_then(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile, is_served: Any
) -> None:
    namespace.create("tj", training_job())
    complete(namespace, FIRST)
    namespace.create("isvc", inference_service(model=following(name="digits")))
    await is_served(FIRST)
    complete(namespace, SECOND)
    service = await serve()
    assert ready(service)["status"] == "True", "the old model serves until the new one does"
    model = service["status"]["modelStatus"]
    assert (model["digest"], model["activeDigest"]) == (SECOND, FIRST)
    assert SECOND in arguments(namespace.get("deployment", "digits-predictor"))
    told = ready(await is_served(SECOND))["message"]
    assert told.endswith("following TrainingJob digits")


async def test_a_follower_keeps_the_last_result_while_its_job_is_made_anew(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile, is_served: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    complete(namespace, FIRST)
    namespace.create("isvc", inference_service(model=following(name="digits")))
    await is_served(FIRST)
    namespace.delete("tj", "digits")
    await until(lambda: not namespace.list("tj"))
    assert (await serve())["status"]["state"] == "Ready"
    namespace.create("tj", training_job())
    assert (await serve())["status"]["modelStatus"]["digest"] == FIRST
    complete(namespace, SECOND)
    await is_served(SECOND)


async def test_a_pinned_model_stays_whatever_becomes_of_its_job(
    namespace: Any, training_job: Any, inference_service: Any, is_served: Any, until: Any
) -> None:
    namespace.create("tj", training_job())
    complete(namespace, FIRST)
    namespace.create("isvc", inference_service())
    assert "pinned to the result of TrainingJob digits" in ready(await is_served(FIRST))["message"]
    namespace.delete("tj", "digits")
    await until(lambda: not namespace.list("tj"))
    namespace.create("tj", training_job())
    complete(namespace, SECOND)
    namespace.delete("deployment", "digits-predictor", propagationPolicy="Foreground")
    await until(lambda: not namespace.list("deployment"))
    await is_served(FIRST)
    (model,) = namespace.get("isvc", "digits")["status"]["models"]
    assert (model["pinned"], model["digest"], model["trainingJob"]) == (True, FIRST, "digits")
    namespace.patch("isvc", "digits", change_of_reference(follow=True))
    await is_served(SECOND)


async def test_what_is_pinned_is_written_down_before_anything_is_made_of_it(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile, monkeypatch: Any
) -> None:
    namespace.create("tj", training_job())
    complete(namespace, FIRST)
    namespace.create("isvc", inference_service())

    def killed(*_: Any, **__: Any) -> None:
        raise ConnectionAbortedError

    monkeypatch.setattr(predictors, "deployment", killed)
    with pytest.raises(ConnectionAbortedError):
        await serve()
    monkeypatch.undo()
    complete(namespace, SECOND)
    await serve()
    assert FIRST in arguments(namespace.get("deployment", "digits-predictor"))


async def test_a_selector_means_the_newest_job_that_has_published(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile, is_served: Any
) -> None:
    def nightly(name: str, digest: str | None, **labels: str) -> None:
        job = training_job(name)
        namespace.create("tj", job | {"metadata": {"name": name, "labels": labels}})
        if digest:
            complete(namespace, digest, name)

    model = following(selector={"matchLabels": {"app": "digits"}})
    namespace.create("isvc", inference_service(model=model))
    assert "no TrainingJobs with app=digits" in ready(await serve())["message"]
    nightly("other", SECOND, app="letters")
    nightly("run-1", FIRST, app="digits")
    nightly("trial", SECOND, app="digits", **{"vaka.dev/search": "run-1"})
    assert "following TrainingJobs with app=digits" in ready(await is_served(FIRST))["message"]
    nightly("run-2", None, app="digits")
    await serve()
    assert FIRST in arguments(namespace.get("deployment", "digits-predictor"))
    complete(namespace, SECOND, "run-2")
    (model,) = (await is_served(SECOND))["status"]["models"]
    assert (model["trainingJob"], model["pinned"]) == ("run-2", False)


async def test_versions_are_served_beside_the_model_and_each_is_pinned(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("tj", training_job())
    versions = [
        {"name": "old", "storageUri": "pvc://digits-model/old"},
        {"name": "trained", "trainingJobRef": {"name": "digits"}},
    ]
    namespace.create("isvc", inference_service(model=STORED | {"versions": versions}))
    assert ready(await serve())["reason"] == "WaitingForTrainingJob"
    complete(namespace, SECOND)
    await serve()
    await serve()
    args = arguments(namespace.get("deployment", "digits-predictor"))
    assert args[args.index("--version") :][:4] == [
        *("--version", "old=file:///mnt/vaka/model/old"),
        *("--version", f"trained=file:///mnt/vaka/model/digits@{SECOND}"),
    ]
    (model,) = namespace.get("isvc", "digits")["status"]["models"]
    assert (model["name"], model["digest"]) == ("predictor/trained", SECOND)


async def test_a_failed_job_is_told_with_its_reason(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("tj", training_job())
    failed = {"type": "Failed", "status": "True", "reason": "DatasetInvalid", "message": "m"}
    failure = {"reason": "DatasetInvalid", "message": "train/7.png is empty"}
    conditions = [failed | {"lastTransitionTime": NOW}]
    namespace.set_status("tj", "digits", {"conditions": conditions, "failure": failure})
    namespace.create("isvc", inference_service())
    told = ready(await serve())
    assert told["reason"] == "TrainingJobFailed"
    assert "train/7.png is empty" in told["message"]


async def test_a_file_of_somebodys_machine_is_refused_until_it_is_edited(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("isvc", inference_service(model={"storageUri": "file:///model"}))
    service = await serve()
    assert service["status"]["state"] == "InvalidSpec"
    assert service["status"]["modelStatus"]["transitionStatus"] == "InvalidSpec"
    assert "pvc://CLAIM/PATH" in ready(service)["message"]
    namespace.patch("isvc", "digits", {"spec": {"predictor": {"model": {"storageUri": "pvc://models"}}}})
    await serve()
    args = arguments(namespace.get("deployment", "digits-predictor"))
    assert "file:///mnt/vaka/model/digits" in args


async def test_a_change_of_the_spec_reaches_the_deployment_and_a_field_taken_out_goes(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("isvc", inference_service(model=STORED, nodeSelector={"disk": "fast"}))
    await serve()
    change = {"minReplicas": 3, "nodeSelector": None}
    namespace.patch("isvc", "digits", {"spec": {"predictor": change}})
    await serve()
    spec = namespace.get("deployment", "digits-predictor")["spec"]
    assert spec["replicas"] == 3
    assert "nodeSelector" not in spec["template"]["spec"]


async def test_what_somebody_else_changes_is_put_right(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("isvc", inference_service(model=STORED))
    await serve()
    namespace.patch("deployment", "digits-predictor", {"spec": {"replicas": 7}})
    namespace.patch("service", "digits", {"spec": {"selector": {"vaka.dev/inference-service": "other"}}})
    await serve()
    assert namespace.get("deployment", "digits-predictor")["spec"]["replicas"] == 1
    selector = namespace.get("service", "digits")["spec"]["selector"]
    assert selector == {
        "vaka.dev/inference-service": "digits",
        "app.kubernetes.io/component": "predictor",
    }


async def test_a_quota_that_refuses_the_pod_is_told_and_healed(
    namespace: Any, inference_service: Any, serve: Reconcile, until: Any, eventually: Any
) -> None:
    namespace.create("quota", {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    await until(lambda: namespace.get("quota", "none").get("status", {}).get("hard"))
    namespace.create("isvc", inference_service(model=STORED))
    service = await eventually(serve, lambda found: found["status"]["state"] == "PodRefused", seconds=10)
    assert "exceeded quota: none" in ready(service)["message"]
    namespace.delete("quota", "none")
    await eventually(serve, lambda _: namespace.list("pod"), seconds=30)


async def test_a_service_of_somebody_else_is_left_alone(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    theirs = {"metadata": {"name": "digits"}, "spec": {"ports": [{"port": 9}], "selector": {"a": "b"}}}
    namespace.create("service", theirs)
    namespace.create("isvc", inference_service(model=STORED))
    assert (await serve())["status"]["state"] == "NameTaken"
    assert namespace.get("service", "digits")["spec"]["selector"] == {"a": "b"}


async def test_a_cache_gets_a_claim_and_a_wish_that_it_cannot_meet_is_told(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("isvc", inference_service(model=STORED | {"cache": {"size": "2Gi"}}))
    await serve()
    (claim,) = namespace.list("pvc")
    assert claim["metadata"]["name"] == "digits-model-cache"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "/mnt/vaka/cache" in arguments(namespace.get("deployment", "digits-predictor"))
    smaller = {"spec": {"predictor": {"model": {"cache": {"size": "1Gi"}}}}}
    namespace.patch("isvc", "digits", smaller)
    told = ready(await serve())
    assert told["reason"] == "InvalidSpec"
    assert "digits-model-cache" in told["message"]

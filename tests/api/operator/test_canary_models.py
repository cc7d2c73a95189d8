"""Which models a service's canary serves, beside its predictor, against a real API server."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from vaka_operator.handlers import predictors

pytestmark = pytest.mark.api

JSON = dict[str, Any]
Reconcile = Callable[..., Awaitable[JSON]]
FIRST, SECOND, THIRD = ("sha256:" + number * 64 for number in "123")
STORED = {"storageUri": "s3://bucket/digits", "digest": FIRST}


def publish(namespace: Any, name: str, digest: str) -> None:
    """What the operator says of a job whose model is published."""
    model = {"uri": f"s3://b/{name}", "digest": digest}
    namespace.set_status("tj", name, {"state": "Complete", "model": model})


@pytest.fixture
def published(namespace: Any, training_job: Any) -> Callable[..., None]:
    """A job with a result."""

    def make(name: str, digest: str) -> None:
        namespace.create("tj", training_job(name))
        publish(namespace, name, digest)

    return make


def canary(model: JSON, **fields: Any) -> JSON:
    return {"canary": {"predictor": {"model": model}} | fields}


def of(job: str, **fields: Any) -> JSON:
    return {"trainingJobRef": {"name": job} | fields}


def arguments(namespace: Any, part: str) -> list[str]:
    template = namespace.get("deployment", f"digits-{part}")["spec"]["template"]["spec"]
    args: list[str] = template["containers"][0]["args"]
    return args


def resolved(service: JSON) -> dict[str, str]:
    return {model["name"]: model["digest"] for model in service["status"]["models"]}


async def test_each_part_has_its_own_models_and_their_names_tell_them_apart(
    namespace: Any, published: Any, inference_service: Any, serve: Reconcile
) -> None:
    published("old", FIRST)
    published("new", SECOND)
    version = {"versions": [{"name": "v", **of("old")}]}
    namespace.create("isvc", inference_service(model=of("old"), beside=canary(of("new") | version)))
    service = await serve()
    assert resolved(service) == {"predictor": FIRST, "canary": SECOND, "canary/v": FIRST}
    assert FIRST in arguments(namespace, "predictor")
    assert {SECOND, f"v=s3://b/old@{FIRST}"} <= set(arguments(namespace, "canary"))
    targets = {target["component"]: target["digest"] for target in service["status"]["traffic"]}
    assert targets == {"predictor": FIRST, "canary": SECOND}


async def test_a_canarys_model_is_written_down_before_anything_is_made_of_it(
    namespace: Any, published: Any, inference_service: Any, serve: Reconcile, monkeypatch: Any
) -> None:
    published("new", FIRST)
    namespace.create("isvc", inference_service(model=STORED, beside=canary(of("new"))))
    build = predictors.deployment

    def killed(owner: Any, *args: Any, **given: Any) -> JSON:
        if owner.component == "canary":
            raise ConnectionAbortedError
        return build(owner, *args, **given)

    with monkeypatch.context() as patch:
        patch.setattr(predictors, "deployment", killed)
        with pytest.raises(ConnectionAbortedError):
            await serve()
    publish(namespace, "new", SECOND)
    assert resolved(await serve()) == {"canary": FIRST}
    assert FIRST in arguments(namespace, "canary")


async def test_a_canary_that_becomes_the_predictor_brings_what_it_was_pinned_to(
    namespace: Any, published: Any, inference_service: Any, serve: Reconcile
) -> None:
    published("old", FIRST)
    published("new", SECOND)
    namespace.create("isvc", inference_service(model=of("old"), beside=canary(of("new"))))
    await serve()
    publish(namespace, "new", THIRD)
    assert resolved(await serve()) == {"predictor": FIRST, "canary": SECOND}
    namespace.patch("isvc", "digits", {"spec": {"predictor": {"model": of("new")}, "canary": None}})
    assert resolved(await serve()) == {"predictor": SECOND}
    assert SECOND in arguments(namespace, "predictor")


async def test_a_canary_that_waits_for_its_job_leaves_the_predictor_alone(
    namespace: Any, training_job: Any, inference_service: Any, serve: Reconcile
) -> None:
    namespace.create("tj", training_job("new"))
    namespace.create("isvc", inference_service(model=STORED, beside=canary(of("new"))))
    service = await serve()
    told = {c["type"]: (c["reason"], c["message"]) for c in service["status"]["conditions"]}
    waits = ("WaitingForTrainingJob", "canary: TrainingJob new has no model yet: it is new")
    assert told["CanaryPredictorReady"] == waits
    assert arguments(namespace, "predictor")
    publish(namespace, "new", SECOND)
    assert resolved(await serve()) == {"canary": SECOND}


async def test_a_new_result_that_a_canary_follows_goes_through_its_gates_from_the_start(
    namespace: Any, published: Any, inference_service: Any, serve: Reconcile
) -> None:
    published("new", FIRST)
    gates = {"steps": [10, 50]}
    given = canary(of("new", follow=True), gates=gates)
    namespace.create("isvc", inference_service(model=STORED, beside=given))
    target = (await serve())["status"]["canary"]["target"]
    assert (await serve())["status"]["canary"]["target"] == target
    publish(namespace, "new", SECOND)
    assert (await serve())["status"]["canary"]["target"] != target


async def test_each_part_has_a_cache_of_its_own_and_a_second_reconcile_changes_nothing(
    namespace: Any, inference_service: Any, serve: Reconcile
) -> None:
    sizes = {"digits-model-cache": "2Gi", "digits-model-cache-canary": "1Gi"}
    caches = [STORED | {"cache": {"size": size}} for size in sizes.values()]
    namespace.create("isvc", inference_service(model=caches[0], beside=canary(caches[1])))
    await serve()
    claims = {claim["metadata"]["name"]: claim for claim in namespace.list("pvc")}
    assert {name: c["spec"]["resources"]["requests"]["storage"] for name, c in claims.items()} == sizes
    await serve()
    await serve()
    assert {claim["metadata"]["resourceVersion"] for claim in namespace.list("pvc")} == {
        claim["metadata"]["resourceVersion"] for claim in claims.values()
    }

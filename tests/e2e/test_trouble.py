"""Whatever is wrong shows within seconds, says what to do, and heals when the cause goes away."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def message(status: dict[str, Any], kind: str) -> str:
    return next(str(c["message"]) for c in status["status"]["conditions"] if c["type"] == kind)


def test_an_unknown_hyperparameter_is_named_and_healed_by_an_edit(namespace: Any, training_job: Any) -> None:
    wrong = {"architecture": "cnn", "hyperparameters": {"epoch": 1}}
    namespace.apply(training_job(model=wrong))
    found = namespace.wait("tj/job", "InvalidSpec", seconds=10)
    assert "did you mean epochs?" in json.dumps(found["status"]["conditions"])
    namespace.patch(
        "tj/job", {"spec": {"model": {"hyperparameters": {"epoch": None, "epochs": 1, "width": 4}}}}
    )
    namespace.wait("tj/job", "Running", seconds=60)


def test_an_unknown_packaged_dataset_is_named_with_the_nearest(namespace: Any, training_job: Any) -> None:
    namespace.apply(training_job(dataset={"storageUri": "pkg://mnst"}))
    found = namespace.wait("tj/job", "InvalidSpec", seconds=10)
    assert "mnist" in json.dumps(found["status"]["conditions"])


def test_a_missing_claim_is_waited_for(namespace: Any, training_job: Any) -> None:
    namespace.apply(training_job(dataset={"storageUri": "pvc://pictures/here"}))
    found = namespace.wait("tj/job", "VolumePending", seconds=10)
    assert "pictures" in json.dumps(found["status"]["conditions"])
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "pictures"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        }
    )
    namespace.wait("tj/job", "DatasetNotFound", seconds=60)


def test_an_unreachable_s3_is_waited_for(namespace: Any, training_job: Any) -> None:
    nowhere = [{"name": "AWS_ENDPOINT_URL", "value": "http://127.0.0.1:9"}]
    namespace.apply(training_job(dataset={"storageUri": "s3://bucket/digits"}, trainer={"env": nowhere}))
    found = namespace.wait("tj/job", "StorageUnreachable", seconds=30)
    assert "127.0.0.1:9" in json.dumps(found["status"]["conditions"])


def test_an_image_that_cannot_be_pulled_is_healed_by_an_edit(namespace: Any, training_job: Any) -> None:
    namespace.apply(training_job(trainer={"image": "localhost/no/such:image"}))
    found = namespace.wait("tj/job", "ImagePullFailed", seconds=30)
    assert "localhost/no/such:image" in json.dumps(found["status"]["conditions"])
    namespace.patch("tj/job", {"spec": {"trainer": {"image": None}}})
    namespace.wait("tj/job", "Running", seconds=60)


def test_a_full_quota_is_named_and_heals_when_it_goes(namespace: Any, training_job: Any) -> None:
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "nothing"},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    namespace.apply(training_job())
    found = namespace.wait("tj/job", "PodRefused", seconds=10)
    assert "exceeded quota" in json.dumps(found["status"]["conditions"])
    namespace.kubectl("delete", "resourcequota", "nothing")
    namespace.wait("tj/job", "Running", seconds=120)


def test_a_wrong_digest_is_refused_and_heals_with_the_right_one(
    namespace: Any, training_job: Any, inference_service: Any
) -> None:
    namespace.apply(training_job())
    model = namespace.wait("tj/job", "Complete", seconds=180)["status"]["model"]
    namespace.apply(inference_service(storageUri=model["uri"], digest="sha256:" + "0" * 64))
    found = namespace.wait("isvc/service", "DigestMismatch", seconds=20)
    assert found["status"]["modelStatus"]["states"]["targetModelState"] == "FailedToLoad"
    assert model["digest"] in message(found, "Ready")
    namespace.patch("isvc/service", {"spec": {"predictor": {"model": {"digest": model["digest"]}}}})
    namespace.wait("isvc/service", "Ready", seconds=60)


def test_too_little_of_everything_is_named(namespace: Any, training_job: Any) -> None:
    greedy = {"resourcesPerNode": {"requests": {"cpu": "1000"}}}
    namespace.apply(training_job(trainer=greedy))
    found = namespace.wait("tj/job", "Unschedulable", seconds=10)
    assert "Insufficient cpu" in json.dumps(found["status"]["conditions"])

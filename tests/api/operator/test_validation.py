"""What the API server itself refuses, and in which words."""

from typing import Any

import pytest

pytestmark = pytest.mark.api


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dataset": {"storageUri": 7}}, r"spec.dataset.storageUri: Invalid value: .*must be of type string"),
        ({"dataset": {}}, r"spec.dataset.storageUri: Required value"),
        ({"dataset": {"storageUri": "mnist"}}, r"must be pkg://NAME, pvc://CLAIM/PATH, s3://BUCKET/PREFIX"),
        ({"output": {"storageUri": "pkg://x"}}, r"must be pvc://CLAIM/PATH, s3://BUCKET/PREFIX or file:///"),
        ({"model": {"architecture": "rnn"}}, r'Unsupported value: "rnn": supported values: "cnn", "lstm", '),
        ({"model": {"architecture": "custom"}}, r"trainer.image must be given: architecture custom"),
        ({"trainer": {"numNodes": 2, "minNodes": 3}}, r"minNodes must not be greater than numNodes"),
        ({"trainer": {"numNodes": 0}}, r"spec.trainer.numNodes: .*greater than or equal to 1"),
        ({"trainer": {"strategy": "dp"}}, r'supported values: "ddp", "fsdp"'),
        (
            {"checkpoint": {"storageUri": "pkg://x"}},
            r"must be pvc://CLAIM/PATH, s3://BUCKET/PREFIX or file:///",
        ),
        ({"checkpoint": {"keep": 0}}, r"spec.checkpoint.keep: .*greater than or equal to 1"),
        ({"ttlSecondsAfterFinished": -1}, r"ttlSecondsAfterFinished: .*greater than or equal to 0"),
        ({"queueName": "No Queue"}, r"spec.queueName"),
        ({"managedBy": "me"}, r"must be vaka.dev/trainingjob-controller or the name of another controller"),
        ({"managedBy": "vaka.dev/other"}, r"must be vaka.dev/trainingjob-controller"),
        ({"modle": {}}, r'unknown field "spec.modle"'),
        ({"backoffLimit": -1}, r"spec.backoffLimit: .*should be greater than or equal to 0"),
        ({"activeDeadlineSeconds": 0}, r"spec.activeDeadlineSeconds: .*greater than or equal to 1"),
        ({"suspend": "yes"}, r"spec.suspend: .*must be of type boolean"),
        ({"output": {"size": "-1Gi"}}, r"spec.output.size"),
        ({"trainer": {"resourcesPerNode": {"requests": {"cpu": "two"}}}}, r"resourcesPerNode.requests.cpu"),
    ],
)
def test_a_wrong_training_job_is_refused(
    namespace: Any, training_job: Any, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(Exception, match=told):
        namespace.create("tj", training_job(**fields))


@pytest.mark.parametrize("name", ["Digits", "9digits", "a.b", "x" * 53])
def test_a_name_that_cannot_be_a_services_is_refused(namespace: Any, training_job: Any, name: str) -> None:
    with pytest.raises(Exception, match=r"metadata.name|lower case RFC 1123"):
        namespace.create("tj", training_job(name))


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("model", "more", "told"),
    [
        (
            {"trainingJobRef": {"name": "a"}, "storageUri": "s3://b/m"},
            {},
            "give either trainingJobRef or storageUri",
        ),
        ({"digest": DIGEST}, {}, "give either trainingJobRef or storageUri"),
        ({"trainingJobRef": {"name": "a"}, "digest": DIGEST}, {}, "digest goes with storageUri"),
        ({"trainingJobRef": {}}, {}, "give either name or selector"),
        (
            {"trainingJobRef": {"name": "a", "selector": {"matchLabels": {"b": "c"}}}},
            {},
            "give either name or selector",
        ),
        ({"trainingJobRef": {"selector": {"matchLabels": {}}}}, {}, "should have at least 1 properties"),
        ({"storageUri": "s3://b/m", "versions": [{"name": "2"}]}, {}, "give either trainingJobRef or"),
        (
            {"storageUri": "s3://b/m", "versions": [{"name": "1", "storageUri": "s3://b/n"}]},
            {},
            "1 is the version of the model itself",
        ),
        ({"storageUri": "s3://b/m", "versions": [{"name": "a/b", "storageUri": "s3://b/n"}]}, {}, "match"),
        ({"storageUri": "s3://b/m", "cache": {"size": "1Gi"}}, {}, "cache needs digest"),
        ({"storageUri": "s3://b/m", "digest": DIGEST, "cache": {}}, {}, "give either size"),
        (
            {
                "storageUri": "s3://b/m",
                "digest": DIGEST,
                "cache": {"claimName": "c", "storageClassName": "d"},
            },
            {},
            "storageClassName goes with size",
        ),
        ({"storageUri": "http://host/m.onnx"}, {}, "https://HOST/FILE.onnx"),
        ({"storageUri": "s3://b/m", "digest": "1234"}, {}, "must be sha256: and 64 hexadecimal digits"),
        ({"storageUri": "pkg://mnist"}, {}, "must be pvc://CLAIM/PATH"),
        ({"storageUri": "s3://b/m"}, {"minReplicas": -1}, "greater than or equal to 0"),
        ({"storageUri": "s3://b/m"}, {"minReplicas": 1.5}, "must be of type integer"),
        ({"storageUri": "s3://b/m"}, {"minReplicas": 3, "maxReplicas": 2}, "must be at least minReplicas"),
        ({"storageUri": "s3://b/m"}, {"scaleMetric": "rps"}, "rps needs scaleTarget"),
    ],
)
def test_a_wrong_service_is_refused(
    namespace: Any, inference_service: Any, model: dict[str, Any], more: dict[str, Any], told: str
) -> None:
    with pytest.raises(Exception, match=told):
        namespace.create("isvc", inference_service(model=model, **more))


FIXED: dict[str, Any] = {
    "model": {"hyperparameters": {"epochs": 2}},
    "dataset": {"storageUri": "pkg://fashion-mnist"},
    "trainer": {"image": "other"},
    "output": {"size": "9Gi"},
    "checkpoint": {"keep": 3},
    "backoffLimit": 9,
    "failurePolicy": {"rules": []},
    "queueName": "team",
}


def test_who_takes_care_of_a_job_never_changes(namespace: Any, training_job: Any) -> None:
    namespace.create("tj", training_job())
    with pytest.raises(Exception, match=r"spec.managedBy cannot be changed"):
        namespace.patch("tj", "digits", {"spec": {"managedBy": "kueue.x-k8s.io/multikueue"}})


@pytest.mark.parametrize("field", FIXED)
def test_what_is_trained_is_fixed_once_training_began(namespace: Any, training_job: Any, field: str) -> None:
    change = {"spec": {field: FIXED[field]}}
    namespace.create("tj", training_job())
    namespace.patch("tj", "digits", {"spec": {"suspend": True}})
    namespace.set_status("tj", "digits", {"startTime": "2026-01-01T00:00:00Z"})
    with pytest.raises(Exception, match=f"spec.{field} cannot be changed after the job has started"):
        namespace.patch("tj", "digits", change)
    namespace.patch(
        "tj", "digits", {"spec": {"suspend": False, "activeDeadlineSeconds": 5, "ttlSecondsAfterFinished": 5}}
    )


CANARY: dict[str, Any] = {"model": {"storageUri": "s3://b/m"}}


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({"canary": {"predictor": CANARY, "trafficPercent": 101}}, "less than or equal to 100"),
        ({"canary": {"predictor": CANARY | {"minReplicas": 0}}}, "must be at least 1"),
        (
            {"canary": {"predictor": CANARY | {"maxReplicas": 3, "scaleMetric": "concurrency"}}},
            "canary.predictor.scaleMetric must be cpu",
        ),
        (
            {"canary": {"predictor": CANARY, "trafficPercent": 5, "gates": {}}},
            "either trafficPercent or gates",
        ),
        ({"canary": {"predictor": CANARY, "gates": {"steps": [50, 10]}}}, "must rise, such as"),
        (
            {"canary": {"predictor": CANARY, "gates": {"minAgreement": 0.9}}},
            "minAgreement needs shadowPercent",
        ),
        (
            {"canary": {"predictor": CANARY | {"logger": {"url": "ftp://here"}}}},
            "s3://BUCKET/PREFIX or kafka://BROKER:PORT",
        ),
        ({"canary": {"predictor": CANARY, "gates": {"steps": [10, 10]}}}, "Duplicate value"),
        ({"canary": {"predictor": CANARY, "headers": [{"name": "a b", "value": "c"}]}}, "should match"),
        ({"canary": {"predictor": CANARY, "headers": [{"name": "a", "value": "'"}]}}, "should match"),
        ({"router": {"auth": {}}}, "give either apiKeys or jwt"),
        ({"router": {"bufferSize": "3Ki"}}, "Unsupported value"),
        ({"router": {"maxRequestSize": "-4Mi"}}, "should match"),
    ],
)
def test_a_wrong_canary_or_router_is_refused(
    namespace: Any, inference_service: Any, beside: dict[str, Any], told: str
) -> None:
    with pytest.raises(Exception, match=told):
        namespace.create("isvc", inference_service(model={"storageUri": "s3://b/m"}, beside=beside))

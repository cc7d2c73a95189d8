"""A model goes to a real S3 server and is served from it."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from vaka.devcluster.spec import NODE_ADDRESS

pytestmark = pytest.mark.e2e
PORT = 17070
KEYS = {
    "AWS_ACCESS_KEY_ID": "vaka-test",
    "AWS_SECRET_ACCESS_KEY": "vaka-test-secret",
    "AWS_ENDPOINT_URL": f"http://{NODE_ADDRESS}:{PORT}",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture
def bucket(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a bucket of a versitygw that listens on the node's address."""
    root = tmp_path_factory.mktemp("s3")
    (root / "models").mkdir()
    command = cluster.inside(
        cluster.tool("versitygw"),
        *("--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret", KEYS["AWS_SECRET_ACCESS_KEY"]),
        *("--port", f"{NODE_ADDRESS}:{PORT}", "posix", str(root)),
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield "models"
    process.terminate()
    process.wait()


def test_a_model_is_published_to_s3_and_served_from_there(
    namespace: Any, training_job: Any, inference_service: Any, bucket: str
) -> None:
    namespace.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": KEYS},
    )
    secret = {"secretRef": {"name": "s3"}}
    namespace.apply(training_job(output={"storageUri": f"s3://{bucket}/digits"} | secret))
    model = namespace.wait("tj/job", "Complete", seconds=180)["status"]["model"]
    assert model["uri"] == f"s3://{bucket}/digits"
    namespace.apply(inference_service(storageUri=model["uri"], digest=model["digest"], **secret))
    namespace.wait("isvc/service", "Ready", seconds=60)


def test_a_second_replica_takes_the_model_from_the_cache_of_the_first(
    namespace: Any, training_job: Any, inference_service: Any, bucket: str
) -> None:
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": KEYS})
    secret = {"secretRef": {"name": "s3"}}
    namespace.apply(training_job(output={"storageUri": f"s3://{bucket}/cached"} | secret))
    model = namespace.wait("tj/job", "Complete", seconds=180)["status"]["model"]
    cache = {"size": "1Gi", "accessMode": "ReadWriteOnce"}
    service = inference_service(storageUri=model["uri"], digest=model["digest"], cache=cache, **secret)
    namespace.apply(service)
    namespace.wait("isvc/service", "Ready", seconds=60)
    namespace.patch("secret/s3", {"stringData": {"AWS_SECRET_ACCESS_KEY": "no longer right"}})
    namespace.patch("isvc/service", {"spec": {"predictor": {"minReplicas": 2}}})
    namespace.kubectl("rollout", "status", "deployment/service-predictor", "--timeout=60s")
    assert namespace.wait("isvc/service", "Ready")["status"]["replicas"]["ready"] == 2

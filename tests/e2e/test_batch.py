"""A batch as a Job of several pods, killed in the midst of it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

JSON = dict[str, Any]
EXAMPLE = Path(__file__).parents[2] / "examples" / "batch-predict.yaml"
PICTURES = 24_000
"""So many that each pod runs for seconds and is seen."""
DRAW = f"""
from io import BytesIO
from pathlib import Path
from PIL import Image
drawn = [BytesIO() for _ in range(256)]
for level, file in enumerate(drawn):
    Image.new("L", (28, 28), level).save(file, "PNG")
for i in range({PICTURES}):
    Path(f"/work/{{i:05}}.png").write_bytes(drawn[i % 256].getvalue())
Path("/work/bad.png").write_bytes(b"no picture")
"""
COUNT = """
import json
import pyarrow.parquet as pq
rows = pq.read_table("/work/mnist").to_pylist()
bad = [row["id"] for row in rows if row["error"]]
in_order = [row["row"] for row in rows] == list(range(len(rows)))
print(json.dumps([len(rows), len({row["id"] for row in rows}), bad, in_order]))
"""


def python(name: str, program: str, *, claim: str) -> JSON:
    """A pod that runs a program on a claim, under the restricted standard."""
    container = {
        "name": "python",
        "image": "docker.io/vaka/batch:0.1.0",
        "command": ["python", "-c", program],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "work", "mountPath": "/work"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    user = {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532}
    spec = {
        "restartPolicy": "Never",
        "securityContext": user | {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "work", "persistentVolumeClaim": {"claimName": claim}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_the_example_predicts_every_picture_once_though_its_pods_are_killed(
    namespace: Any, training_job: Any, cluster: Any
) -> None:
    cluster.load("batch")
    namespace.apply(training_job("mnist-cnn"))
    size = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "pictures"}}
    namespace.apply(claim | {"spec": size})
    namespace.apply(python("draw", DRAW, claim="pictures"))
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    namespace.kubectl("wait", "pod/draw", succeeded, "--timeout=120s")
    namespace.wait("tj/mnist-cnn", "Complete", seconds=180)
    namespace.kubectl("apply", "-f", str(EXAMPLE))
    killed = kill_some(namespace, 3)
    namespace.kubectl("wait", "job/batch-predict", "--for=condition=Failed", "--timeout=240s")
    status = namespace.get("job", "batch-predict")["status"]
    namespace.apply(python("count", COUNT, claim="predictions"))
    namespace.kubectl("wait", "pod/count", succeeded, "--timeout=120s")
    total, different, bad, in_order = json.loads(namespace.kubectl("logs", "count"))
    assert (total, different, bad, in_order) == (PICTURES + 1, PICTURES + 1, ["bad.png"], True)
    assert status["failedIndexes"] in {"0", "1", "2", "3"}, "only the shard of the bad picture fails"
    assert killed == 3


def kill_some(namespace: Any, count: int) -> int:
    """Delete pods that run, by force, as they appear; how many it were."""
    killed: set[str] = set()
    end = time.monotonic() + 60
    while len(killed) < count and time.monotonic() < end:
        selector = "--selector=batch.kubernetes.io/job-name=batch-predict"
        for pod in json.loads(namespace.kubectl("get", "pods", selector, "-o", "json"))["items"]:
            name, phase = pod["metadata"]["name"], pod["status"]["phase"]
            if phase == "Running" and name not in killed and len(killed) < count:
                namespace.kubectl("delete", "pod", name, "--grace-period=0", "--force")
                killed.add(name)
    return len(killed)

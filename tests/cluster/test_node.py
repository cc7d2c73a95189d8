"""What the node of an embedded cluster must be able to do."""

import json
import subprocess
import urllib.request
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

SECURE = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
SCRIPT = """
trap 'echo told to end; exit 0' TERM
coredns -conf <(echo '.:5353 {
  health :8080
}') &
echo started
while :; do :; done &
wait
"""


def workload() -> dict[str, Any]:
    """A Deployment of two pods that share a claim and burn a little CPU, its Service and its autoscaler."""
    labels = {"app": "w"}
    container = {
        "name": "c",
        "image": "vaka.dev/test:1",
        "command": ["/bin/bash", "-c", SCRIPT],
        "securityContext": SECURE,
        "resources": {
            "requests": {"cpu": "50m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "w"}}],
    }
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 90}},
        }
    ]
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "w", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "w", "namespace": "w"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            },
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "w", "namespace": "w"},
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": pod},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "w", "namespace": "w"},
                "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
            },
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "w", "namespace": "w"},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"},
                    "minReplicas": 2,
                    "maxReplicas": 3,
                    "metrics": metrics,
                },
            },
        ],
    }


@pytest.fixture(scope="module")
def running(one: Any) -> Any:
    """The cluster with the workload available."""
    one.kubectl("apply", "-f", "-", text=json.dumps(workload()))
    one.kubectl("-n", "w", "wait", "--for=condition=Available", "deployment/w", "--timeout=60s")
    yield one
    one.kubectl("delete", "namespace", "w", "--wait=false")


def execute(cluster: Any, script: str) -> str:
    out: str = cluster.kubectl("-n", "w", "exec", "deploy/w", "--", "bash", "-c", script)
    return out


def test_a_claim_of_the_default_class_binds_and_belongs_to_the_pods_group(running: Any) -> None:
    assert running.get("-n", "w", "pvc", "w")["status"]["phase"] == "Bound"
    assert execute(running, "test -w /data && id -G && echo yes").split()[-1] == "yes"


def test_names_of_services_resolve_and_others_are_refused_at_once(running: Any) -> None:
    address = running.get("-n", "w", "service", "w")["spec"]["clusterIP"]
    assert execute(running, "getent hosts w").split() == [address, "w.w.svc.cluster.local"]
    assert execute(running, "getent hosts example.com || echo refused").strip() == "refused"


def test_a_service_is_reached_from_all_pods_its_own_too(running: Any) -> None:
    ask = "exec 3<>/dev/tcp/w/80; echo -e 'GET /health HTTP/1.0\n' >&3; read -r -u 3 status; echo $status"
    for pod in running.get("-n", "w", "pods")["items"]:
        for _ in range(4):  # some go to the pod itself, others to its neighbour
            argv = ("-n", "w", "exec", pod["metadata"]["name"], "--", "bash", "-c", ask)
            assert running.kubectl(*argv).strip() == "HTTP/1.0 200 OK"


def test_logs_are_read(running: Any) -> None:
    assert "started\n" in running.kubectl("-n", "w", "logs", "deploy/w")


def test_a_pod_is_told_to_end_and_its_last_words_are_read(running: Any) -> None:
    pod = running.get("-n", "w", "pods")["items"][0]["metadata"]["name"]
    argv = [str(running.folder.bin / "kubectl"), "--kubeconfig", str(running.folder.kubeconfig)]
    with subprocess.Popen([*argv, "-n", "w", "logs", "-f", pod], stdout=subprocess.PIPE, text=True) as logs:
        running.kubectl("-n", "w", "delete", "pod", pod)
        assert logs.stdout
        assert logs.stdout.read().splitlines()[-1] == "told to end"


def test_a_port_is_forwarded(running: Any) -> None:
    argv = [str(running.folder.bin / "kubectl"), "--kubeconfig", str(running.folder.kubeconfig)]
    forward = [*argv, "-n", "w", "port-forward", "service/w", ":80"]
    with subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().split()[2]  # Forwarding from 127.0.0.1:PORT -> 8080
        with urllib.request.urlopen(f"http://{address}/health", timeout=5) as answer:
            assert answer.read() == b"OK"
        process.terminate()


def test_the_autoscaler_gets_metrics_and_scales(running: Any) -> None:
    running.kubectl("-n", "w", "wait", "hpa/w", "--for=condition=ScalingActive", "--timeout=120s")
    running.kubectl("-n", "w", "wait", "deploy/w", "--for=jsonpath={.spec.replicas}=3", "--timeout=120s")


def test_pod_security_is_enforced(running: Any) -> None:
    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        running.kubectl("-n", "w", "run", "bad", "--image=vaka.dev/test:1", "--privileged")

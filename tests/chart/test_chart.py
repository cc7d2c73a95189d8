"""The chart, rendered by the real helm."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from vaka.api.crd import DEFINITIONS
from vaka.devcluster.binaries import programs
from vaka.devcluster.folders import cache_root
from vaka_operator.cluster import RESOURCES

CHART = Path(__file__).parents[2] / "charts" / "vaka"
MONITORING = ("--api-versions", "monitoring.coreos.com/v1/ServiceMonitor")
DISCOVERED = {("apiextensions.k8s.io", "customresourcedefinitions"), ("", "namespaces")}
JSON = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> str:
    built = programs(cache_root())["helm"]
    found = str(built) if built.exists() else shutil.which("helm")
    return found or pytest.skip("there is no helm: `make setup` builds it")


class Chart:
    def __init__(self, helm: str) -> None:
        self.helm = helm

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.helm, *arguments], capture_output=True, text=True, check=False)

    def render(self, *options: str, **values: Any) -> list[JSON]:
        """The manifests; values are given as `images__tag="1"` for images.tag."""
        result = self.template(*options, **values)
        assert result.returncode == 0, result.stderr
        return [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]

    def template(self, *options: str, **values: Any) -> subprocess.CompletedProcess[str]:
        given = [f"--set-json={key.replace('__', '.')}={json.dumps(value)}" for key, value in values.items()]
        return self.run("template", "vaka", str(CHART), "--namespace=vaka-system", *options, *given)


@pytest.fixture(scope="session")
def chart(helm: str) -> Chart:
    return Chart(helm)


def one(manifests: list[JSON], kind: str, name: str = "") -> JSON:
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(name)]
    assert len(found) == 1, (kind, name)
    return found[0]


def operator_pod(manifests: list[JSON]) -> JSON:
    pod: JSON = one(manifests, "Deployment")["spec"]["template"]
    return pod


def test_lint_finds_nothing(chart: Chart) -> None:
    result = chart.run("lint", "--strict", str(CHART))
    assert result.returncode == 0, result.stdout


def test_every_value_is_explained_by_a_sentence() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        is_value = re.match(r"\s*\w+: \S", line) and not re.match(r"\s+(requests|limits):", line)
        if is_value:
            assert re.match(r"\s*# [A-Z].*\.$", above), f"{line} has no sentence above it"


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def names(values: JSON, rules: JSON) -> None:
        known = set(rules["properties"]) - {"global"}
        assert set(values) == known
        for name, value in values.items():
            if rules["properties"][name].get("additionalProperties") is False:
                names(value, rules["properties"][name])

    names(yaml.safe_load((CHART / "values.yaml").read_text()), schema)


def test_definitions_are_those_of_the_types_and_outlive_the_release(chart: Chart) -> None:
    rendered = [m for m in chart.render() if m["kind"] == "CustomResourceDefinition"]
    expected = {definition["metadata"]["name"]: definition["spec"] for definition in DEFINITIONS.values()}
    assert {m["metadata"]["name"]: m["spec"] for m in rendered} == expected
    for definition in rendered:
        assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_definitions_can_be_left_out(chart: Chart) -> None:
    assert all(m["kind"] != "CustomResourceDefinition" for m in chart.render(crds__enabled=False))


def test_the_operator_may_do_what_it_does_and_no_more(chart: Chart) -> None:
    rules = one(chart.render(), "ClusterRole", "-operator")["rules"]
    allowed = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}
    used = {(resource.api_version.rpartition("/")[0], resource.plural) for resource in RESOURCES.values()}
    assert {(group, name) for group, name in allowed if "/" not in name} == used | DISCOVERED
    subresources = {tuple(name.split("/")) for _, name in allowed if "/" in name}
    assert {kind for kind, _ in subresources} == {"trainingjobs", "inferenceservices"}
    assert {part for _, part in subresources} == {"status", "finalizers"}
    words = {word for rule in rules for values in rule.values() for word in values}
    assert not words & {"*", "secrets", "nodes", "pods/exec"}


def test_the_operator_has_rights_only_in_the_namespaces_that_are_named(chart: Chart) -> None:
    manifests = chart.render(watchNamespaces=["a", "b"])
    roles = [m for m in manifests if m["kind"] == "Role"]
    assert [m["metadata"]["namespace"] for m in roles] == ["a", "b"]
    for rule in one(manifests, "ClusterRole", "-operator")["rules"]:
        assert {(group, name) for group in rule["apiGroups"] for name in rule["resources"]} <= DISCOVERED
        assert rule["verbs"] == ["list", "watch"]
    assert [m["metadata"]["namespace"] for m in manifests if m["kind"] == "RoleBinding"] == ["a", "b"]
    arguments = operator_pod(manifests)["spec"]["containers"][0]["args"]
    assert arguments[:2] == ["--namespace=a", "--namespace=b"]
    assert "--all-namespaces" not in arguments


def test_the_operator_passes_restricted_pod_security(chart: Chart) -> None:
    spec = operator_pod(chart.render())["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_bindings_network_policy_and_service_mean_the_operator_pod(chart: Chart) -> None:
    manifests = chart.render()
    pod = operator_pod(manifests)
    selector = one(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert selector == one(manifests, "Service")["spec"]["selector"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    subject = one(manifests, "ClusterRoleBinding")["subjects"][0]
    account = one(manifests, "ServiceAccount")["metadata"]["name"]
    assert subject["name"] == pod["spec"]["serviceAccountName"] == account


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({}, "docker.io/vaka/trainer:0.1.0"),
        ({"images__tag": "dev"}, "docker.io/vaka/trainer:dev"),
        ({"images__registry": ""}, "vaka/trainer:0.1.0"),
        ({"images__registry": "registry.example:5000/ml"}, "registry.example:5000/ml/vaka/trainer:0.1.0"),
        ({"images__trainer": "vaka/trainer:9", "images__tag": "dev"}, "docker.io/vaka/trainer:9"),
        (
            {"images__trainer": f"vaka/trainer@sha256:{'a' * 64}"},
            f"docker.io/vaka/trainer@sha256:{'a' * 64}",
        ),
    ],
)
def test_images_are_named_in_full(chart: Chart, values: JSON, image: str) -> None:
    container = operator_pod(chart.render(**values))["spec"]["containers"][0]
    assert {"name": "VAKA_TRAINER_IMAGE", "value": image} in container["env"]


def test_odd_values_render(chart: Chart) -> None:
    manifests = chart.render(
        *MONITORING,
        images__pullSecrets=["registry"],
        operator__nodeSelector={"disk": "ssd"},
        operator__tolerations=[{"key": "ml", "operator": "Exists"}],
        operator__affinity={"nodeAffinity": {}},
        operator__priorityClassName="high",
        operator__podAnnotations={"team": "ml"},
        serviceAccount__create=False,
        serviceAccount__name="mine",
        rbac__create=False,
        rbac__aggregate=False,
        networkPolicy__enabled=False,
        metrics__serviceMonitor={"enabled": True, "labels": {"release": "prometheus"}, "interval": "5s"},
    )
    assert sorted({m["kind"] for m in manifests}) == [
        *("CustomResourceDefinition", "Deployment", "Secret", "Service", "ServiceMonitor")
    ]
    pod = operator_pod(manifests)
    assert pod["metadata"]["annotations"]["team"] == "ml"
    assert pod["spec"]["serviceAccountName"] == "mine"
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images__pullPolicy": "Sometimes"}, "pullPolicy"),
        ({"images__tag": "a b"}, "tag"),
        ({"images__trainer": "Vaka/Trainer"}, "trainer"),
        ({"replicas": 2}, "replicas"),
        ({"operator__resource": {}}, "resource"),
        ({"watchNamespaces": ["Not_A_Name"]}, "watchNamespaces"),
        ({"watchNamespaces": ["a", "a"]}, "are equal"),
        ({"crds__enabled": "yes"}, "boolean"),
        ({"serviceAccount__create": False}, "serviceAccount.name must say"),
        ({"metrics__serviceMonitor__enabled": True}, "install the Prometheus Operator first"),
        (
            {"metrics__serviceMonitor__enabled": True, "metrics__service": False},
            "metrics.service must be true",
        ),
        ({"images__operator": "ghcr.example/vaka/operator"}, "leave out its registry"),
    ],
)
def test_wrong_values_are_refused_with_what_is_wrong(chart: Chart, values: JSON, message: str) -> None:
    result = chart.template(**values)
    assert result.returncode != 0
    assert message in result.stderr


def test_notes_name_the_next_command(chart: Chart) -> None:
    options = ("--dry-run=client", "--namespace=vaka-system", "--kubeconfig=/dev/null")
    result = chart.run("install", "vaka", str(CHART), *options)
    assert "kubectl get trainingjobs" in result.stdout, result.stderr

"""The pods in front of a service's pods, and who reaches what."""

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from vaka.api.inferenceservice import InferenceServiceSpec
from vaka_operator.config import Config
from vaka_operator.manifests import router
from vaka_operator.manifests.deployment import surroundings
from vaka_operator.manifests.meta import Owner

JSON = dict[str, Any]
ADDRESSES: JSON = {"predictor": "10.0.0.1", "canary": "10.0.0.2"}


def spec_of(**router: Any) -> InferenceServiceSpec:
    model = {"model": {"storageUri": "s3://b/m"}}
    spec = {"predictor": model, "canary": {"predictor": model}, "router": router}
    return msgspec.convert(spec, InferenceServiceSpec)


@pytest.fixture
def owner(service_owner: Owner) -> Owner:
    return service_owner.of("router")


def pods_of(owner: Owner, spec: InferenceServiceSpec, config: Config) -> JSON:
    text = router.configuration(owner, spec, config, **ADDRESSES)
    (deployment,) = [m for m in router.router(owner, spec, config, text) if m["kind"] == "Deployment"]
    template: JSON = deployment["spec"]["template"]
    return template


def test_its_pods_are_as_restricted_as_can_be(owner: Owner, config: Config) -> None:
    pod = pods_of(owner, spec_of(), config)["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(pod["containers"][0]["resources"]["requests"]) == {"cpu", "memory"}


def test_another_configuration_needs_other_pods_and_another_part_of_the_traffic_does_not(
    owner: Owner, config: Config
) -> None:
    before = pods_of(owner, spec_of(), config)
    assert pods_of(owner, spec_of(maxRequestSize="1Mi"), config) != before
    text = router.configuration(owner, spec_of(), config, **ADDRESSES)
    maps = [router.config_map(owner, text, canary_percent=percent)["data"] for percent in (0, 50)]
    assert maps[0]["haproxy.cfg"] == maps[1]["haproxy.cfg"]
    assert maps[0]["state.cfg"] != maps[1]["state.cfg"]


def test_each_service_has_a_token_that_only_the_operator_knows(owner: Owner, config: Config) -> None:
    token = router.token(owner, config)
    text = router.configuration(owner, spec_of(), config, **ADDRESSES)
    assert token not in text
    assert hashlib.sha256(f"Bearer {token}".encode()).hexdigest() in text
    assert config.router_key not in text
    assert router.token(msgspec.structs.replace(owner, uid="other"), config) != token
    assert router.token(owner, replace(config, router_key="other")) != token


def test_secrets_are_mounted_and_never_read_by_the_operator(owner: Owner, config: Config) -> None:
    keys = {"apiKeys": {"secretRef": {"name": "keys"}}}
    spec = spec_of(tls={"secretRef": {"name": "cert"}}, auth=keys)
    volumes = {volume["name"]: volume for volume in pods_of(owner, spec, config)["spec"]["volumes"]}
    assert volumes["tls"]["secret"] == {"secretName": "cert"}
    assert volumes["api-keys"]["secret"] == {"secretName": "keys"}
    shared = spec_of(auth={"jwt": {"secretRef": {"name": "jwt"}, "algorithm": "HS256"}})
    (container,) = pods_of(owner, shared, config)["spec"]["containers"]
    assert {"secretKeyRef": {"name": "jwt", "key": "key"}} in [e.get("valueFrom") for e in container["env"]]


def test_behind_a_router_only_it_a_mirroring_predictor_the_operator_and_prometheus_reach_the_pods(
    service_owner: Owner, config: Config
) -> None:
    def ingress(*, closed: bool, part: str = "predictor") -> JSON:
        made = surroundings(service_owner.of(part), replace(config, namespace="vaka-system"), closed=closed)
        (policy,) = [m for m in made if m["kind"] == "NetworkPolicy"]
        rule: JSON = policy["spec"]["ingress"][0]
        return rule

    assert "from" not in ingress(closed=False)
    peers = ingress(closed=True)["from"]
    assert peers[0] == {"podSelector": {"matchLabels": service_owner.of("router").pods}}
    assert peers[1]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "vaka-system"}
    names = [peer["podSelector"]["matchLabels"].get("app.kubernetes.io/name") for peer in peers[1:]]
    assert names == ["vaka-operator", "prometheus"]
    mirroring = {"podSelector": {"matchLabels": service_owner.of("predictor").pods}}
    assert ingress(closed=True, part="canary")["from"] == [*peers, mirroring]

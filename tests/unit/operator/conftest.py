"""Resources and pods as the API server would give them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vaka.api.inferenceservice import PredictorSpec
from vaka.api.trainingjob import TrainingJobSpec
from vaka_operator.config import Config
from vaka_operator.manifests.meta import Owner

JSON = dict[str, Any]


@pytest.fixture
def config() -> Config:
    return Config(
        trainer_image="trainer:1",
        server_image="server:1",
        datasets_image="datasets:1",
        router_image="router:1",
        router_key="key",
    )


@pytest.fixture
def owner() -> Owner:
    return Owner(
        kind="TrainingJob", namespace="team", name="digits", uid="0a1b2c3d-0000-0000-0000-000000000000"
    )


@pytest.fixture
def service_owner() -> Owner:
    return Owner(kind="InferenceService", namespace="team", name="digits", uid="ffff")


@pytest.fixture
def job_spec() -> Callable[..., TrainingJobSpec]:
    """A TrainingJobSpec from YAML's words; keywords replace whole fields of the smallest one."""

    def make(**fields: Any) -> TrainingJobSpec:
        smallest = {"model": {"architecture": "cnn"}, "dataset": {"storageUri": "pkg://mnist"}}
        return msgspec.convert(smallest | fields, TrainingJobSpec)

    return make


@pytest.fixture
def predictor_spec() -> Callable[..., PredictorSpec]:
    def make(**fields: Any) -> PredictorSpec:
        smallest = {"model": {"storageUri": "pvc://models/digits"}}
        return msgspec.convert(smallest | fields, PredictorSpec)

    return make


@pytest.fixture
def pod() -> Callable[..., JSON]:
    """A pod with one container in one state."""

    def make(
        *,
        name: str = "digits-0-abc",
        container: str = "trainer",
        phase: str = "Pending",
        node: str | None = "node-1",
        created: str = "2026-01-01T00:00:00Z",
        conditions: list[JSON] | None = None,
        last: JSON | None = None,
        **state: JSON,
    ) -> JSON:
        status = {"name": container, "image": "trainer:1", "state": state, "lastState": last or {}}
        return {
            "metadata": {"name": name, "namespace": "team", "uid": name, "creationTimestamp": created},
            "spec": {"nodeName": node} if node else {},
            "status": {"phase": phase, "conditions": conditions or [], "containerStatuses": [status]},
        }

    return make

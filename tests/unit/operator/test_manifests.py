"""The builders: what Kubernetes objects a spec needs."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.contract import PACKAGED_DATASETS, PERMANENT_EXITS, RUN_ENV, Run
from vaka.api.inferenceservice import PredictorSpec
from vaka.api.trainingjob import TrainingJobSpec
from vaka_operator.config import Config
from vaka_operator.manifests.deployment import Model, deployment, surroundings
from vaka_operator.manifests.job import public_output, training
from vaka_operator.manifests.meta import FINGERPRINT, JSON, OWNER, Owner, holds
from vaka_operator.manifests.storage import model_folder

JobSpec = Callable[..., TrainingJobSpec]
Predictor = Callable[..., PredictorSpec]


def run_of(job: JSON) -> Run:
    """What the trainer reads in its environment."""
    env = {v["name"]: v["value"] for v in container_of(job)["env"]}
    return msgspec.json.decode(env[RUN_ENV], type=Run)


def container_of(workload: JSON) -> JSON:
    container: JSON = workload["spec"]["template"]["spec"]["containers"][0]
    return container


def mounts_of(workload: JSON) -> dict[str, JSON]:
    return {mount["mountPath"]: mount for mount in container_of(workload)["volumeMounts"]}


def volumes_of(workload: JSON) -> dict[str, JSON]:
    return {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}


@pytest.fixture
def job(owner: Owner, job_spec: JobSpec, config: Config) -> Callable[..., JSON]:
    return lambda **fields: training(owner, job_spec(**fields), config, claim_name="mine").job


@pytest.fixture
def server(service_owner: Owner, predictor_spec: Predictor, config: Config) -> Callable[..., JSON]:
    def make(uri: str = "pvc://models/digits", **fields: Any) -> JSON:
        digest = fields.pop("digest", None)
        model = Model(uri=uri, digest=digest)
        return deployment(service_owner, predictor_spec(**fields), model, config)

    return make


def test_every_child_belongs_to_its_owner_and_is_found_by_its_label(
    owner: Owner, service_owner: Owner, job_spec: JobSpec, server: Callable[..., JSON], config: Config
) -> None:
    plan = training(owner, job_spec(), config, claim_name="mine")
    for child in [plan.job, *plan.others]:
        reference = child["metadata"]["ownerReferences"][0]
        assert (reference["uid"], reference["controller"]) == (owner.uid, True)
        assert child["metadata"]["labels"]["vaka.dev/training-job"] == "digits"
    for child in [server(), *surroundings(service_owner)]:
        assert child["metadata"]["ownerReferences"][0]["uid"] == service_owner.uid
        assert child["metadata"]["labels"]["vaka.dev/inference-service"] == "digits"


def test_training_and_serving_of_one_name_do_not_collide(
    owner: Owner, service_owner: Owner, job_spec: JobSpec, server: Callable[..., JSON], config: Config
) -> None:
    plan = training(owner, job_spec(), config, claim_name="mine")
    children = [plan.job, *plan.others, server(), *surroundings(service_owner)]
    names = [(child["kind"], child["metadata"]["name"]) for child in children]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("workload", ["job", "server"])
def test_pods_are_as_restricted_as_can_be(workload: str, request: pytest.FixtureRequest) -> None:
    pod = request.getfixturevalue(workload)()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_a_packaged_dataset_is_copied_from_the_image_that_holds_it(job: Callable[..., JSON]) -> None:
    made = job(dataset={"storageUri": "pkg://fashion-mnist"})
    (copier,) = made["spec"]["template"]["spec"]["initContainers"]
    assert copier["image"] == "datasets:1"
    assert copier["command"] == ["cp", "-r", "/datasets/fashion-mnist/.", "/mnt/vaka/dataset"]
    assert mounts_of(made)["/mnt/vaka/dataset"]["readOnly"]
    assert run_of(made).spec.dataset.storage_uri == "file:///mnt/vaka/dataset"


def test_a_dataset_on_a_claim_is_mounted_and_cannot_be_written(job: Callable[..., JSON]) -> None:
    made = job(dataset={"storageUri": "pvc://pictures/animals"})
    assert volumes_of(made)["dataset"] == {
        "name": "dataset",
        "persistentVolumeClaim": {"claimName": "pictures"},
    }
    assert mounts_of(made)["/mnt/vaka/dataset"]["readOnly"]
    assert run_of(made).spec.dataset.storage_uri == "file:///mnt/vaka/dataset/animals"
    assert "initContainers" not in made["spec"]["template"]["spec"]


@pytest.mark.parametrize("uri", ["s3://bucket/data", "https://host/data.zip"])
def test_remote_storage_is_left_to_the_trainer(job: Callable[..., JSON], uri: str) -> None:
    made = job(dataset={"storageUri": uri, "secretRef": {"name": "keys"}})
    assert run_of(made).spec.dataset.storage_uri == uri
    assert container_of(made)["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert "/mnt/vaka/dataset" not in mounts_of(made)


def test_without_an_output_the_model_goes_to_a_claim_that_is_made(
    owner: Owner, job_spec: JobSpec, config: Config
) -> None:
    plan = training(owner, job_spec(output={"size": "3Gi"}), config, claim_name="mine")
    (claim,) = [child for child in plan.others if child["kind"] == "PersistentVolumeClaim"]
    assert claim["metadata"]["name"] == "mine"
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert public_output(plan.job) == run_of(plan.job).public_output == "pvc://mine/digits"
    assert run_of(plan.job).spec.output.storage_uri == "file:///mnt/vaka/output/digits"
    assert "readOnly" not in mounts_of(plan.job)["/mnt/vaka/output"]


def test_a_claim_that_people_name_is_never_made(owner: Owner, job_spec: JobSpec, config: Config) -> None:
    output = {"storageUri": "pvc://models"}
    plan = training(owner, job_spec(output=output), config, claim_name="unused")
    assert [child["kind"] for child in plan.others] == ["NetworkPolicy"]
    assert run_of(plan.job).public_output == "pvc://models/digits"


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("pvc://models", "pvc://models/digits"),
        ("pvc://models/", "pvc://models/digits"),
        ("pvc://models/a/b/", "pvc://models/a/b"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
    ],
)
def test_a_model_has_a_folder_of_its_own_in_a_claim(uri: str, folder: str) -> None:
    assert model_folder(uri, name="digits") == folder


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"model": {"architecture": "cnn", "hyperparameters": {"epoch": 3}}},
            r"hyperparameters\.epoch is unknown to cnn: did you mean epochs\?",
        ),
        (
            {"model": {"architecture": "cnn", "hyperparameters": {"epochs": 0}}},
            r"hyperparameters\.epochs is 0: .*>= 1",
        ),
        ({"dataset": {"storageUri": "pkg://mnst"}}, r"pkg://mnst: .* did you mean pkg://mnist\?"),
        ({"dataset": {"storageUri": "pkg://zzz"}}, f"known are {', '.join(PACKAGED_DATASETS)}"),
        ({"dataset": {"storageUri": "file:///data"}}, r"spec\.dataset\.storageUri is file:///data: .*pvc://"),
        ({"dataset": {"storageUri": "pvc://a/../b"}}, r"must not contain \.\."),
        ({"dataset": {"storageUri": "pvc://a/%2e%2e/b"}}, r"must not contain \.\."),
        ({"output": {"storageUri": "file:///out"}}, r"spec\.output\.storageUri is file:///out: .*s3://"),
        ({"trainer": {"env": [{"name": RUN_ENV}]}}, f"spec.trainer.env: {RUN_ENV} is set by the operator"),
        ({"trainer": {"env": [{"name": "A"}, {"name": "A"}]}}, "spec.trainer.env: A is given twice"),
        (
            {
                "dataset": {"storageUri": "s3://b/d", "secretRef": {"name": "in"}},
                "output": {"storageUri": "s3://b/o", "secretRef": {"name": "out"}},
            },
            "secretRef is in and .* is out: .* one Secret",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_by_field_value_and_what_is_allowed(
    job: Callable[..., JSON], fields: JSON, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        job(**fields)


def test_the_job_fails_at_once_where_trying_again_cannot_help(job: Callable[..., JSON]) -> None:
    fail, ignore = job()["spec"]["podFailurePolicy"]["rules"]
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", list(PERMANENT_EXITS))
    assert (ignore["action"], ignore["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")


def test_limits_of_the_job_come_from_the_spec(job: Callable[..., JSON]) -> None:
    spec = job(backoffLimit=0, activeDeadlineSeconds=60, suspend=True)["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["suspend"]) == (0, 60, True)
    assert "activeDeadlineSeconds" not in job()["spec"]


def test_what_can_be_changed_does_not_count_for_the_fingerprint(job: Callable[..., JSON]) -> None:
    def mark(made: JSON) -> str:
        value: str = made["metadata"]["annotations"][FINGERPRINT]
        return value

    assert mark(job()) == mark(job(suspend=True, backoffLimit=7, activeDeadlineSeconds=9))
    assert mark(job()) != mark(job(trainer={"image": "other"}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"requests": {"cpu": "500m", "memory": "1Gi"}}),
        (
            {"requests": {"nvidia.com/gpu": 1}},
            {"requests": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": 1}},
        ),
        ({"limits": {"cpu": "100m"}}, {"requests": {"memory": "1Gi"}, "limits": {"cpu": "100m"}}),
    ],
    ids=["default", "more", "a limit is a request"],
)
def test_resources(job: Callable[..., JSON], given: JSON, expected: JSON) -> None:
    assert container_of(job(trainer={"resourcesPerNode": given}))["resources"] == expected


def test_pods_go_where_the_spec_says(job: Callable[..., JSON], server: Callable[..., JSON]) -> None:
    where = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 5}],
        "priorityClassName": "low",
    }
    for workload in (job(trainer=where), server(**where)):
        assert where.items() <= workload["spec"]["template"]["spec"].items()


def test_the_server_is_told_what_to_serve(server: Callable[..., JSON]) -> None:
    made = server(digest="sha256:abc")
    assert container_of(made)["args"] == [
        *("--model", "file:///mnt/vaka/model/digits"),
        *("--digest", "sha256:abc", "--name", "digits", "--http-port", "8080"),
    ]
    assert mounts_of(made)["/mnt/vaka/model"]["readOnly"]
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert annotations["vaka.dev/model-digest"] == "sha256:abc"
    assert annotations[OWNER] == "ffff"


def test_a_server_that_waits_for_its_model_lives_and_is_not_ready(server: Callable[..., JSON]) -> None:
    container = container_of(server())
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": "/v2/health/live",
        "liveness": "/v2/health/live",
        "readiness": "/v2/health/ready",
    }


def test_a_rollout_never_takes_away_what_serves(server: Callable[..., JSON]) -> None:
    assert server()["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), json_values), st.dictionaries(st.text(max_size=3), json_values))
def test_an_object_holds_what_was_applied_whatever_others_add(desired: JSON, more: JSON) -> None:
    assert holds(more | desired, desired)


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1), st.data())
def test_an_object_that_lost_or_changed_a_field_does_not_hold(desired: JSON, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(desired)))
    assert not holds({k: v for k, v in desired.items() if k != name}, desired)
    assert not holds({"spec": [desired | {name: desired[name] + 1}]}, {"spec": [desired]})

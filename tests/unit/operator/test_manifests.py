"""The builders: what Kubernetes objects a spec needs."""

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaka.api.contract import PACKAGED_DATASETS, PERMANENT_EXITS, RUN_ENV
from vaka.api.inferenceservice import PredictorSpec
from vaka.api.run import Run
from vaka.api.servedmodel import ModelCache
from vaka.api.trainingjob import TrainingJobSpec
from vaka.cli.serve import add_parser
from vaka_operator.config import Config
from vaka_operator.manifests.deployment import deployment, surroundings
from vaka_operator.manifests.job import MARGIN, changeable, public_output, training
from vaka_operator.manifests.meta import FINGERPRINT, JSON, OWNER, Owner, holds
from vaka_operator.manifests.models import Model, Supply
from vaka_operator.manifests.storage import model_folder

JobSpec = Callable[..., TrainingJobSpec]
Predictor = Callable[..., PredictorSpec]


def run_of(job: JSON) -> Run:
    """What the trainer reads in its environment."""
    return msgspec.json.decode(env_of(job)[RUN_ENV], type=Run)


def env_of(job: JSON) -> dict[str, Any]:
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container_of(job)["env"]}


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
        given: dict[str, Any] = {
            name: fields.pop(name) for name in ("versions", "cache", "precision", "engine") if name in fields
        }
        supply = Supply(model=Model(uri=uri, digest=digest, secret=fields.pop("secret", None)), **given)
        shadow = fields.pop("shadow_percent", 0)
        spec = predictor_spec(**fields)
        return deployment(
            service_owner, spec, supply, config, replicas=spec.min_replicas, shadow_percent=shadow
        )

    return make


def test_every_child_belongs_to_its_owner_and_is_found_by_its_label(
    owner: Owner, service_owner: Owner, job_spec: JobSpec, server: Callable[..., JSON], config: Config
) -> None:
    plan = training(owner, job_spec(), config, claim_name="mine")
    for child in [plan.job, *plan.others]:
        reference = child["metadata"]["ownerReferences"][0]
        assert (reference["uid"], reference["controller"]) == (owner.uid, True)
        assert child["metadata"]["labels"]["vaka.dev/training-job"] == "digits"
    for child in [server(), *surroundings(service_owner, config, closed=False)]:
        assert child["metadata"]["ownerReferences"][0]["uid"] == service_owner.uid
        assert child["metadata"]["labels"]["vaka.dev/inference-service"] == "digits"


def test_training_and_serving_of_one_name_do_not_collide(
    owner: Owner, service_owner: Owner, job_spec: JobSpec, server: Callable[..., JSON], config: Config
) -> None:
    plan = training(owner, job_spec(), config, claim_name="mine")
    children = [plan.job, *plan.others, server(), *surroundings(service_owner, config, closed=False)]
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
    assert [child["kind"] for child in plan.others] == ["NetworkPolicy", "Service"]
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
        ({"trainer": {"volumes": [{"name": "output"}]}}, "spec.trainer.volumes: output is one of Vaka's own"),
        ({"trainer": {"env": [{"name": "PET_NNODES"}]}}, "spec.trainer.env: PET_NNODES is set by the oper"),
        (
            {"checkpoint": {"storageUri": "file:///c"}},
            r"spec\.checkpoint\.storageUri is file:///c/.*: .*pvc://",
        ),
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
    fail, ignore, *_ = job()["spec"]["podFailurePolicy"]["rules"]
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", list(PERMANENT_EXITS))
    assert (ignore["action"], ignore["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")


def test_rules_of_the_spec_come_first(job: Callable[..., JSON]) -> None:
    mine = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}
    first, *ours = job(failurePolicy={"rules": [mine]})["spec"]["podFailurePolicy"]["rules"]
    assert first == mine
    assert ours == job()["spec"]["podFailurePolicy"]["rules"]


def test_a_stop_and_a_lost_neighbour_do_not_count_as_failures(job: Callable[..., JSON]) -> None:
    *_, stopped = job()["spec"]["podFailurePolicy"]["rules"]
    assert (stopped["action"], stopped["onExitCodes"]["values"]) == ("Ignore", [75, 143])


def rendezvous(job: JSON) -> dict[str, Any]:
    return {name: value for name, value in env_of(job).items() if name.startswith("PET_")}


def test_pods_of_one_job_find_each_other_as_torchrun_does(
    owner: Owner, job_spec: JobSpec, config: Config
) -> None:
    spec = job_spec(trainer={"numNodes": 3, "numProcPerNode": 2})
    plan = training(owner, spec, config, claim_name="mine")
    policy, service = plan.others[:2]
    assert rendezvous(plan.job) == {
        "PET_NNODES": "3",
        "PET_NPROC_PER_NODE": "2",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ID": owner.uid,
        "PET_RDZV_ENDPOINT": "digits-0.digits-trainer:29400",
        "PET_NODE_RANK": {
            "fieldRef": {
                "apiVersion": "v1",
                "fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']",
            }
        },
    }
    made = plan.job["spec"]
    assert (made["completions"], made["parallelism"], made["completionMode"]) == (3, 3, "Indexed")
    assert made["successPolicy"] == {"rules": [{"succeededCount": 1}]}
    assert made["backoffLimit"] == 9 + 3 * MARGIN
    assert made["template"]["spec"]["subdomain"] == service["metadata"]["name"] == "digits-trainer"
    assert made["template"]["spec"]["terminationGracePeriodSeconds"] == 60
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    assert service["spec"]["selector"].items() <= made["template"]["metadata"]["labels"].items()
    assert policy["spec"]["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": 9464}]},
        {"from": [{"podSelector": {"matchLabels": owner.pods}}]},
    ]


def test_nodes_of_an_elastic_job_come_and_go(job: Callable[..., JSON]) -> None:
    env = rendezvous(job(trainer={"numNodes": 3, "minNodes": 2}))
    assert env["PET_NNODES"] == "2:3"
    assert "PET_NODE_RANK" not in env
    assert rendezvous(job(trainer={"numNodes": 3, "minNodes": 3}))["PET_NNODES"] == "3"


def test_a_job_of_one_pod_is_done_when_it_is(job: Callable[..., JSON]) -> None:
    made = job()["spec"]
    assert (made["completions"], rendezvous(job())["PET_NNODES"]) == (1, "1")
    assert "successPolicy" not in made


UID = "0a1b2c3d-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("output", "given", "public", "inside"),
    [
        (None, None, f"pvc://mine/.checkpoints/{UID}", f"file:///mnt/vaka/output/.checkpoints/{UID}"),
        (
            "pvc://models/a/b",
            None,
            f"pvc://models/.checkpoints/{UID}",
            f"file:///mnt/vaka/output/.checkpoints/{UID}",
        ),
        ("s3://b/digits/", None, f"s3://b/digits.checkpoints/{UID}", f"s3://b/digits.checkpoints/{UID}"),
        (None, "s3://b/c/", f"s3://b/c/{UID}", f"s3://b/c/{UID}"),
        ("pvc://models", "pvc://models/c", f"pvc://models/c/{UID}", f"file:///mnt/vaka/output/c/{UID}"),
        (None, "pvc://fast", f"pvc://fast/{UID}", f"file:///mnt/vaka/checkpoint/{UID}"),
    ],
    ids=["own claim", "claim", "s3", "elsewhere", "same claim", "other claim"],
)
def test_checkpoints_have_a_folder_that_no_other_job_continues(
    job: Callable[..., JSON], output: str | None, given: str | None, public: str, inside: str
) -> None:
    made = job(
        **({"output": {"storageUri": output}} if output else {}),
        **({"checkpoint": {"storageUri": given}} if given else {}),
    )
    run = run_of(made)
    assert (run.public_checkpoint, run.spec.checkpoint.storage_uri) == (public, inside)
    assert ("/mnt/vaka/checkpoint" in mounts_of(made)) == inside.startswith("file:///mnt/vaka/checkpoint")


def custom(**trainer: Any) -> JSON:
    model = {"architecture": "custom", "hyperparameters": {"depth": 3, "anything": ["goes"]}}
    return {"model": model, "trainer": {"image": "mine:1", **trainer}}


def test_a_custom_container_gets_the_same_environment(job: Callable[..., JSON]) -> None:
    made = job(**custom())
    container = container_of(made)
    assert container["image"] == "mine:1"
    assert "command" not in container, "its image says what it runs"
    env = env_of(made)
    assert env["VAKA_HYPERPARAMETERS"] == '{"anything":["goes"],"depth":3}'
    assert (env["VAKA_DATASET"], env["VAKA_OUTPUT"]) == ("/mnt/vaka/dataset", "/mnt/vaka/output/digits")
    assert env["VAKA_CHECKPOINT"] == f"/mnt/vaka/output/.checkpoints/{UID}"
    assert run_of(made).spec.model.hyperparameters == {"depth": 3, "anything": ["goes"]}
    remote = env_of(job(**custom(), dataset={"storageUri": "s3://b/d"}, output={"storageUri": "s3://b/m"}))
    assert (remote["VAKA_DATASET"], remote["VAKA_OUTPUT"]) == ("s3://b/d", "s3://b/m")


def test_command_arguments_volumes_and_affinity_reach_the_pod(job: Callable[..., JSON]) -> None:
    shm = {"name": "shm", "emptyDir": {"medium": "Memory"}}
    mount = {"name": "shm", "mountPath": "/dev/shm"}
    affinity = {"nodeAffinity": {}}
    made = job(
        **custom(
            command=["torchrun"], args=["train.py"], volumes=[shm], volumeMounts=[mount], affinity=affinity
        )
    )
    container = container_of(made)
    assert (container["command"], container["args"]) == (["torchrun"], ["train.py"])
    assert volumes_of(made)["shm"] == shm
    assert mounts_of(made)["/dev/shm"] == mount
    assert made["spec"]["template"]["spec"]["affinity"] == affinity
    built_in = container_of(job(trainer={"args": ["-v"]}))
    assert (built_in["command"], built_in["args"]) == (["python", "-m", "vaka.training"], ["-v"])


def test_a_job_for_a_queue_is_born_suspended_and_the_rest_is_the_queues(
    job: Callable[..., JSON], job_spec: JobSpec
) -> None:
    made = job(queueName="team")
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert "kueue.x-k8s.io/queue-name" not in made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["suspend"] is True
    assert "suspend" not in changeable(job_spec(queueName="team"))


def test_limits_of_the_job_come_from_the_spec(job: Callable[..., JSON]) -> None:
    spec = job(backoffLimit=0, activeDeadlineSeconds=60, suspend=True)["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["suspend"]) == (MARGIN, 60, True)
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
        *("--digest", "sha256:abc", "--name", "digits", "--http-port", "8080", "--grpc-port", "9000"),
    ]
    assert mounts_of(made)["/mnt/vaka/model"]["readOnly"]
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert annotations["vaka.dev/model-digest"] == "sha256:abc"
    assert annotations[OWNER] == "ffff"


def test_the_server_is_told_where_to_log_and_whom_to_ask_as_well(server: Callable[..., JSON]) -> None:
    logger = {"url": "s3://logs/digits", "mode": "request", "percent": 5}
    arguments = container_of(server(logger=logger, shadow_percent=12.5))["args"]
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    told = parser.parse_args(["serve", *arguments])
    assert told.shadow == "http://digits-canary.team.svc"
    assert told.shadow_percent == 12.5
    assert (told.log_payloads, told.log_mode, told.log_percent) == ("s3://logs/digits", "request", 5)


def test_a_server_that_waits_for_its_model_lives_and_is_not_ready(server: Callable[..., JSON]) -> None:
    container = container_of(server())
    paths = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    live, ready = "/v2/health/live", "/v2/health/ready"
    assert paths == {"startupProbe": live, "livenessProbe": live, "readinessProbe": ready}


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


def test_versions_go_to_the_server_with_their_digests_and_each_claim_is_mounted_once(
    server: Callable[..., JSON],
) -> None:
    versions = {
        "old": Model(uri="pvc://models/old", digest="sha256:1"),
        "other": Model(uri="pvc://others/m"),
        "far": Model(uri="s3://b/m=1@2"),
    }
    made = server(versions=versions)
    assert values_of(container_of(made)["args"], "--version") == [
        "old=file:///mnt/vaka/model/old@sha256:1",
        "other=file:///mnt/vaka/model-1/m",
        "far=s3://b/m=1@2",
    ]
    claims = {name: volume.get("persistentVolumeClaim") for name, volume in volumes_of(made).items()}
    assert claims == {"model": {"claimName": "models"}, "model-1": {"claimName": "others"}, "scratch": None}
    assert {"/mnt/vaka/model", "/mnt/vaka/model-1"} <= mounts_of(made).keys()


def values_of(args: list[str], flag: str) -> list[str]:
    return [value for name, value in itertools.pairwise(args) if name == flag]


def test_versions_that_need_different_secrets_are_refused(server: Callable[..., JSON]) -> None:
    versions = {"old": Model(uri="s3://b/m", secret="b")}
    with pytest.raises(ValueError, match="the model needs Secret a and version old needs Secret b"):
        server("s3://a/m", secret="a", versions=versions)


def test_what_is_wrong_with_a_canary_is_told_by_its_own_fields(
    service_owner: Owner, predictor_spec: Predictor, config: Config
) -> None:
    owner, spec = service_owner.of("canary"), predictor_spec()
    elsewhere = {"old": Model(uri="s3://b/m", secret="b")}
    secrets = Supply(model=Model(uri="s3://a/m", secret="a"), versions=elsewhere)
    with pytest.raises(ValueError, match=r"^spec\.canary\.predictor\.model\.versions: "):
        deployment(owner, spec, secrets, config, replicas=1)
    with pytest.raises(ValueError, match=r"^spec\.canary\.predictor\.model\.storageUri is file:///m"):
        deployment(owner, spec, Supply(model=Model(uri="file:///m")), config, replicas=1)


@pytest.mark.parametrize(
    ("cache", "claim", "size"),
    [
        (ModelCache(size="1Gi"), "digits-model-cache", ["1073741824"]),
        (ModelCache(claim_name="shared"), "shared", []),
    ],
)
def test_the_cache_is_mounted_where_the_server_is_told(
    server: Callable[..., JSON], cache: ModelCache, claim: str, size: list[str]
) -> None:
    made = server("s3://bucket/m", cache=cache)
    args = container_of(made)["args"]
    assert volumes_of(made)["cache"] == {"name": "cache", "persistentVolumeClaim": {"claimName": claim}}
    assert mounts_of(made)[values_of(args, "--model-cache")[0]] == {
        "name": "cache",
        "mountPath": "/mnt/vaka/cache",
    }
    assert values_of(args, "--model-cache-size") == size


def test_an_engine_is_named_where_there_is_no_choice(server: Callable[..., JSON]) -> None:
    assert values_of(container_of(server(engine="onnxruntime"))["args"], "--engine") == ["onnxruntime"]
    assert "--engine" not in container_of(server())["args"]


def test_a_precision_other_than_the_models_own_is_asked_for(server: Callable[..., JSON]) -> None:
    assert values_of(container_of(server(precision="int8"))["args"], "--precision") == ["int8"]
    assert "--precision" not in container_of(server())["args"]


def test_what_lies_on_a_claim_needs_no_cache(service_owner: Owner, server: Callable[..., JSON]) -> None:
    cache = ModelCache(size="1Gi")
    assert "--model-cache" not in container_of(server(cache=cache))["args"]
    assert Supply(model=Model(uri="pvc://models/m"), cache=cache).claims(service_owner) == []


def test_the_claim_of_a_cache_is_what_the_spec_asks_for(service_owner: Owner) -> None:
    cache = ModelCache(size=5, storage_class_name="nfs", access_mode="ReadWriteOnce")
    (claim,) = Supply(model=Model(uri="s3://b/m"), cache=cache).claims(service_owner)
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5"}},
        "storageClassName": "nfs",
    }

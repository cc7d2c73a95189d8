"""YAML is checked as strictly as by the API server, and the message says which field and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from vaka.api.inferenceservice import InferenceService
from vaka.api.trainingjob import TrainingJob
from vaka.cli.documents import override, parse, read_documents
from vaka.cli.errors import UserError


def job(**spec: Any) -> dict[str, Any]:
    whole = {"model": {"architecture": "cnn"}, "dataset": {"storageUri": "pkg://mnist"}} | spec
    return {
        "apiVersion": "vaka.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "mnist", "labels": {"team": "a"}},
        "spec": whole,
    }


def test_a_right_document_becomes_a_resource() -> None:
    resources = {"requests": {"cpu": 2, "memory": "4Gi"}}
    parsed = parse(job(trainer={"resourcesPerNode": resources}, output={"size": "2Gi"}), TrainingJob)
    assert parsed.spec.dataset.storage_uri == "pkg://mnist"
    assert parsed.spec.trainer.resources_per_node is not None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (job(backofLimit=1), "spec.backofLimit is unknown: did you mean backoffLimit?"),
        (job(zzz=1), "spec.zzz is unknown: known are model, dataset, trainer"),
        (job(model={"architecture": "cnn", "hyperparams": {}}), "spec.model.hyperparams is unknown"),
        (job(trainer={"tolerations": [{"kee": "a"}]}), "spec.trainer.tolerations.0.kee is unknown"),
        (job(backoffLimit="three"), "spec.backoffLimit: Expected `int`, got `str`"),
        (job(backoffLimit=-1), "spec.backoffLimit: Expected `int` >= 0"),
        (job(model={"architecture": "gpt"}), "spec.model.architecture is 'gpt': it must be one of cnn"),
        (job(dataset={}), "spec.dataset: Object missing required field `storageUri`"),
        (
            job(dataset={"storageUri": "ftp://host/x"}),
            "spec.dataset.storageUri is 'ftp://host/x': it must be pkg://NAME, pvc://",
        ),
        (
            job(output={"storageUri": "https://host/x"}),
            "spec.output.storageUri is 'https://host/x': it must be",
        ),
        (job() | {"apiVersion": "v1"}, "apiVersion is 'v1': give vaka.dev/v1alpha1"),
        (job() | {"metadata": {"name": "Not_Good"}}, "metadata.name is 'Not_Good': give at most 52"),
        (job() | {"spek": {}}, "spek is unknown: did you mean spec?"),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(document, TrainingJob)
    assert message in str(caught.value)


def test_a_field_is_set_by_its_path() -> None:
    document = job()
    override(document, "spec.model.hyperparameters.epochs=3")
    override(document, "spec.dataset.storageUri=file:///tmp/a=b")
    parsed = parse(document, TrainingJob)
    assert parsed.spec.model.hyperparameters == {"epochs": 3}
    assert parsed.spec.dataset.storage_uri == "file:///tmp/a=b"


def test_dates_are_texts_as_in_kubernetes(tmp_path: Path) -> None:
    document = job()
    override(document, "spec.dataset.options.holidays=[2022-02-28, 2022-02-30]")
    assert document["spec"]["dataset"]["options"] == {"holidays": ["2022-02-28", "2022-02-30"]}
    (tmp_path / "a.yaml").write_text("kind: TrainingJob\nend: 2022-02-30\n")
    assert read_documents(tmp_path / "a.yaml")[0]["end"] == "2022-02-30"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("spec.epochs", "give PATH=VALUE"),
        ("=3", "give PATH=VALUE"),
        ("spec..a=3", "give PATH=VALUE"),
        ("spec.dataset.storageUri.x=3", "spec.dataset.storageUri is no object"),
        ("spec.model={", "'{' is not YAML"),
        ("spec.model=!!timestamp 2022-02-30", "'!!timestamp 2022-02-30' is not YAML"),
    ],
)
def test_a_setting_that_cannot_be_made_says_why(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(job(), setting)


def test_all_documents_of_a_file_are_read_and_other_kinds_left_out(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text("kind: TrainingJob\n---\n---\nkind: Namespace\n---\nkind: InferenceService\n")
    assert [d["kind"] for d in read_documents(file)] == ["TrainingJob", "InferenceService"]


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "name: x\n"])
def test_a_file_that_holds_no_resource_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=r"a\.yaml"):
        read_documents(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[3] / "examples").glob("*.yaml")), ids=lambda p: p.name
)
def test_the_examples_are_right(file: Path) -> None:
    for document in read_documents(file):
        parse(document, TrainingJob if document["kind"] == "TrainingJob" else InferenceService)

"""The CRDs in the chart are what the types say."""

from pathlib import Path

import pytest

from vaka.api import crd
from vaka.api.architectures import ARCHITECTURES, hyperparameters
from vaka.api.trainingjob import CUSTOM, TrainingJob

CHART = Path(__file__).parents[3] / "charts" / "vaka" / "files" / "crds"


@pytest.mark.parametrize("name", crd.DEFINITIONS)
def test_the_chart_holds_what_the_types_generate(name: str, tmp_path: Path) -> None:
    crd.write(tmp_path)
    assert (CHART / name).read_text() == (tmp_path / name).read_text(), (
        f"run: python -m vaka.api.crd {CHART.relative_to(Path.cwd())}"
    )


def test_no_definition_uses_what_a_structural_schema_forbids() -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            assert not {"$ref", "oneOf", "nullable"} & node.keys()
            for value in node.values():
                walk(value)

    for definition in crd.DEFINITIONS.values():
        walk(definition["spec"]["versions"][0]["schema"])


def test_every_field_that_people_write_is_explained() -> None:
    def walk(path: str, node: dict[str, object]) -> None:
        for name, child in node.get("properties", {}).items():  # type: ignore[attr-defined]
            if name not in ("key", "operator", "value", "effect", "tolerationSeconds"):  # Kubernetes' own
                assert child.get("description"), f"{path}.{name}"
            walk(f"{path}.{name}", child)

    for definition in crd.DEFINITIONS.values():
        root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        walk("spec", root["properties"]["spec"])


def test_the_architectures_of_the_crd_are_those_with_hyperparameters() -> None:
    spec = crd.definition(TrainingJob, short="tj")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    model = spec["properties"]["spec"]["properties"]["model"]
    assert set(model["properties"]["architecture"]["enum"]) == {*ARCHITECTURES, CUSTOM}


def test_hyperparameters_have_defaults() -> None:
    assert hyperparameters("cnn", {"epochs": 3}).epochs == 3
    assert hyperparameters("cnn", {}).batch_size > 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"learningRte": 0.1}, "hyperparameters.learningRte is unknown to cnn: did you mean learningRate?"),
        ({"zzz": 1}, "hyperparameters.zzz is unknown to cnn: known are .*epochs"),
        ({"epochs": 0}, "hyperparameters.epochs is 0: expected `int` >= 1"),
        ({"epochs": "many"}, "hyperparameters.epochs is 'many': expected `int`, got `str`"),
    ],
    ids=["near", "far", "zero", "type"],
)
def test_a_wrong_hyperparameter_is_named_with_what_is_allowed(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        hyperparameters("cnn", given)

"""How images are built: what decides whether one is built again, and what every Dockerfile keeps to."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "images"
DOCKERFILES = sorted(IMAGES.glob("*/Dockerfile"))
LOCKS = sorted(IMAGES.glob("requirements/*.txt"))


@pytest.fixture(scope="session")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("images_build", IMAGES / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["images_build"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one image that copies the folder src."""
    for path, content in {
        "images/tiny/Dockerfile": "FROM scratch\nCOPY images/a.txt src /\nCOPY src/b.txt /b\n",
        "images/a.txt": "a",
        "src/b.txt": "b",
        "src/__pycache__/b.pyc": "compiled",
        "other.txt": "not copied",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("changed", ["images/tiny/Dockerfile", "images/a.txt", "src/b.txt", "src/new.txt"])
def test_an_image_is_built_again_when_what_it_copies_changes(
    build: ModuleType, tree: Path, changed: str
) -> None:
    image = build.Image("tiny", tree)
    before = image.key()
    with (tree / changed).open("a") as file:
        file.write("# more")
    assert image.key() != before


@pytest.mark.parametrize("changed", ["other.txt", "src/__pycache__/b.pyc"])
def test_an_image_is_not_built_again_for_what_it_does_not_copy(
    build: ModuleType, tree: Path, changed: str
) -> None:
    image = build.Image("tiny", tree)
    before = image.key()
    (tree / changed).write_text("more")
    assert image.key() == before


def test_another_base_or_index_builds_again(
    build: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = build.Image("tiny", tree)
    keys = {image.key()}
    for name in ("BASE_IMAGE", *build.INDEXES):
        monkeypatch.setenv(name, "https://registry.example/")
        keys.add(image.key())
    assert len(keys) == 2 + len(build.INDEXES)


def test_an_unknown_image_is_refused_with_the_known_ones(
    build: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["trainr"]) == 1
    assert "there is no image 'trainr': the images are operator, server" in capsys.readouterr().err


def test_a_command_that_fails_is_told_by_its_last_lines(build: ModuleType, tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5; do echo line $i; done; exit 3"
    with pytest.raises(build.BuildError, match="tiny failed: line 3 / line 4 / line 5"):
        build._run(["sh", "-c", script], title="tiny", log=tmp_path / "log")


def test_there_is_a_dockerfile_for_each_image(build: ModuleType) -> None:
    assert {path.parent.name for path in DOCKERFILES} == set(build.NAMES)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_take_a_base_and_run_as_nobody(dockerfile: Path) -> None:
    lines = dockerfile.read_text().splitlines()
    assert any(line.startswith("ARG BASE_IMAGE=") for line in lines)
    assert "FROM ${BASE_IMAGE}" in lines
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 65532:65532"]
    after = lines[lines.index(users[0]) :]
    assert not [line for line in after if line.startswith(("RUN", "COPY"))]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_images_copy_is_there_and_not_ignored(dockerfile: Path) -> None:
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    if dockerfile.parent.name == "datasets":
        return  # its context is the folder of the data sets
    for line in re.findall(r"^COPY (.+) \S+$", dockerfile.read_text(), re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert any(Path(source).match(a) or source.startswith(a) for a in allowed), source


def test_the_batch_image_begins_with_the_layers_of_the_server() -> None:
    server, batch = ((IMAGES / name / "Dockerfile").read_text() for name in ("server", "batch"))
    shared = server[server.index("FROM") : server.index("COPY src/vaka")]
    assert batch[batch.index("FROM") :].startswith(shared)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_images_install_the_tested_versions_with_hashes(lock: Path) -> None:
    pinned = re.compile(r"^([a-z0-9.-]+==\S+)", re.MULTILINE)
    tested = set(pinned.findall((ROOT / "requirements.lock").read_text()))
    text = lock.read_text()
    assert set(pinned.findall(text)) <= tested, "run images/requirements/compile.sh"
    assert text.count("==") <= text.count(" \\\n"), "each has a hash"
    assert "://" not in text, "no registry is named"


def test_the_server_has_no_torch_and_the_operator_nothing_that_trains() -> None:
    name = re.compile(r"^([a-z0-9.-]+)==", re.MULTILINE)
    names = {lock.stem: set(name.findall(lock.read_text())) for lock in LOCKS}
    assert not names["server"] & {"torch", "onnx", "matplotlib"}
    assert not names["operator"] & {"torch", "onnxruntime", "obstore", "sqlalchemy"}
    assert names["torch"] & {"torch"}
    assert not names["trainer"] & {"torch"}


@pytest.mark.parametrize(
    ("extra", "locks"),
    [
        ("operator", ["operator"]),
        ("train", ["torch", "trainer"]),
        ("serve", ["server"]),
        ("batch", ["batch"]),
    ],
)
def test_locks_have_all_that_the_project_asks_for(extra: str, locks: list[str]) -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    text = "".join((IMAGES / f"requirements/{lock}.txt").read_text() for lock in locks)
    for requirement in asked:
        name = re.split(r"[<>=~\[]", requirement)[0]
        assert f"\n{name}==" in f"\n{text}", f"{name} is missing: run images/requirements/compile.sh"

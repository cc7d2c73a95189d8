"""Publishing: whole or not at all, wherever the publisher is killed."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

from vaka.artifacts import publish as module
from vaka.artifacts.errors import ModelError
from vaka.artifacts.manifest import MANIFEST, Manifest, Signature, encode
from vaka.artifacts.publish import PublishError, check_target, files_of, publish
from vaka.artifacts.read import open_model
from vaka.storage import Unreachable


def model(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_text(f"graph of {name}")
    (folder / "weights.safetensors").write_text(f"weights of {name}" * 100)
    (folder / "samples").mkdir()
    (folder / "samples/1.txt").write_text(name)
    manifest = Manifest(
        name=name,
        architecture="cnn",
        task="image-classification",
        signature=Signature(inputs=[], outputs=[]),
        files=files_of(folder),
    )
    (folder / MANIFEST).write_bytes(encode(manifest))
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return model(tmp_path / "old", "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return model(tmp_path / "new", "new")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "mnist"


def test_what_was_published_is_read_with_its_digest(new: Path, target: Path) -> None:
    digest = publish(new, target.as_uri())
    assert open_model(target, digest=digest).name == "new"
    assert (target / "samples/1.txt").read_text() == "new"
    assert os.listdir(target.parent) == ["mnist"]


def test_it_replaces_an_older_model(old: Path, new: Path, target: Path) -> None:
    publish(old, target.as_uri())
    (target / "of-yesterday").write_text("")
    assert open_model(target, digest=publish(new, target.as_uri())).name == "new"
    assert not (target / "of-yesterday").exists()
    assert os.listdir(target.parent) == ["mnist"]


def test_publishing_again_changes_nothing(new: Path, target: Path) -> None:
    assert publish(new, target.as_uri()) == publish(new, target.as_uri())
    assert os.listdir(target.parent) == ["mnist"]


def test_an_empty_folder_is_taken(new: Path, target: Path) -> None:
    target.mkdir(parents=True)
    publish(new, target.as_uri())
    assert open_model(target).name == "new"


def test_other_peoples_files_are_not_replaced(new: Path, target: Path) -> None:
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(
        PublishError, match=r"mnist holds thesis.tex and no model: give a new or empty folder"
    ):
        publish(new, target.as_uri())
    assert (target / "thesis.tex").read_text() == "years of work"


def test_a_file_is_no_place_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="file is a file"):
        check_target(tmp_path / "file")


def test_a_folder_below_a_file_is_no_place_either(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="file is a file"):
        check_target(tmp_path / "file" / "model")


def test_a_place_that_cannot_be_written_is_refused_beforehand(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path != target.parents[1])
    with pytest.raises(PublishError, match=f"{target.parents[1]} cannot be written"):
        check_target(target)


def test_a_disk_that_fails_is_a_matter_of_storage(
    new: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "disk")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreachable, match="disk: No space left on device: the model cannot be written"):
        publish(new, target.as_uri())
    assert os.listdir(target.parent) == []


def test_a_damaged_model_is_not_published(new: Path, target: Path) -> None:
    (new / "model.onnx").write_text("graph of now")
    with pytest.raises(ModelError, match=r"model\.onnx has digest"):
        publish(new, target.as_uri())
    assert not target.exists()


def test_others_may_read_it(new: Path, target: Path) -> None:
    new.chmod(0o700)
    publish(new, target.as_uri())
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def killed_after(events: int, folder: Path, target: Path) -> bool:
    """Publish in a process that dies at this many file operations; whether it did before its end."""
    child = os.fork()
    if child == 0:
        left = iter(range(events))

        def die(event: str, _: object) -> None:
            if event.startswith(("open", "os.", "shutil.", "tempfile.")) and next(left, None) is None:
                os._exit(9)

        sys.addaudithook(die)
        publish(folder, target.as_uri())
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("way", ["exchange", "two renames", "volume root"])
def test_a_killed_publisher_leaves_the_old_model_or_the_new(
    old: Path, new: Path, target: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "two renames":
        monkeypatch.setattr(module, "_exchange", lambda *_: False)
    if way == "volume root":
        monkeypatch.setattr(os.path, "ismount", lambda path: path == target)
        target.mkdir(parents=True)
    publish(old, target.as_uri())
    events = 0
    seen = set()
    while killed_after(events, new, target):
        try:
            seen.add(open_model(target).name)
        except ModelError:
            seen.add("none")
        publish(old, target.as_uri())  # the next publisher is not hindered by what lies about
        assert open_model(target).name == "old"
        events += 1
    assert open_model(target).name == "new"
    assert not [p for p in target.parent.rglob("*") if "publishing" in p.name]
    assert events > 20
    assert seen <= ({"old", "new"} if way == "exchange" else {"old", "new", "none"})


def test_a_publisher_killed_on_a_new_volume_does_not_block_the_next(
    new: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: path == target)
    target.mkdir(parents=True)
    events = 0
    while killed_after(events, new, target):
        publish(new, target.as_uri())
        assert open_model(target).name == "new"
        shutil.rmtree(target)
        target.mkdir()
        events += 3
    assert events > 20

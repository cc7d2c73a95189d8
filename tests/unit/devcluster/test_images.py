import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from vaka.devcluster.errors import ClusterError
from vaka.devcluster.images import import_image, write_image


def test_an_archive_holds_its_files_and_their_digest(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    archive = tmp_path / "image.tar"
    write_image(
        archive,
        reference="vaka.dev/x:1",
        files={"bin/x": tmp_path / "program"},
        entrypoint=["/bin/x"],
        architecture="amd64",
    )
    with tarfile.open(archive) as outer:
        parts = {entry.name: outer.extractfile(entry).read() for entry in outer}  # type: ignore[union-attr]
    manifest, config = json.loads(parts["manifest.json"])[0], json.loads(parts["config.json"])
    assert manifest["RepoTags"] == ["vaka.dev/x:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(parts['layer.tar']).hexdigest()}"]
    assert config["config"]["User"] == "65534:65534"
    (tmp_path / "layer.tar").write_bytes(parts["layer.tar"])
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert layer.getmember("bin/x").mode == 0o755


def test_an_archive_is_passed_to_the_importer(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("content\n")
    assert import_image(str(tmp_path / "image.tar"), into=("cat",)) == "content"


def test_what_the_importer_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "image.tar").touch()
    with pytest.raises(ClusterError, match=r"image.tar' could not be imported: no archive"):
        import_image(str(tmp_path / "image.tar"), into=("sh", "-c", "echo no archive >&2; exit 1"))


def test_without_file_and_without_buildah_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match=r"no file 'vaka/x:1', and buildah is missing"):
        import_image("vaka/x:1", into=("cat",))

import hashlib
import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from vaka.devcluster.layout import TAG, Layout

SHARED = b"the layer that images share"


def put(layout: Layout, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    path = layout.root / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"sha256:{digest}"


def push(layout: Layout, name: str, *layers: bytes) -> None:
    """What skopeo does: blobs, and an entry in the index; the former one of this name loses its name."""
    config = put(layout, f"configuration of {name} {layers}".encode())
    manifest = {
        "schemaVersion": 2,
        "config": {"digest": config},
        "layers": [{"digest": put(layout, layer)} for layer in layers],
    }
    digest = put(layout, json.dumps(manifest).encode())
    index = layout.root / "index.json"
    entries = json.loads(index.read_text())["manifests"] if index.exists() else []
    for entry in entries:
        if entry["annotations"].get(TAG) == name:
            del entry["annotations"][TAG]
    entries.append({"digest": digest, "annotations": {TAG: name}})
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    for name in ("trainer", "server"):
        push(layout, name, SHARED, name.encode())
        layout.record(name, reference=f"docker.io/vaka/{name}:1", key=f"key of {name}")
    return layout


def archived(layout: Layout, *names: str, without: tuple[str, ...] = ()) -> dict[str, bytes]:
    out = io.BytesIO()
    layout.write_archive(names, out, without=without)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in files.items() if file}


def test_images_are_known_by_name_reference_and_key(layout: Layout) -> None:
    assert set(layout.images()) == {"trainer", "server"}
    assert layout.images()["trainer"].reference == "docker.io/vaka/trainer:1"
    assert layout.images()["trainer"].key == "key of trainer"


def test_an_empty_layout_has_no_images(tmp_path: Path) -> None:
    assert Layout(tmp_path / "none").images() == {}


def test_an_image_that_was_pushed_and_not_recorded_does_not_count_as_built(layout: Layout) -> None:
    push(layout, "trainer", SHARED, b"new")
    assert set(layout.images()) == {"server"}


def test_an_image_without_its_manifest_does_not_count_as_built(layout: Layout) -> None:
    manifest = layout.blobs("trainer")[0]
    (layout.root / "blobs" / manifest.replace(":", "/")).unlink()
    assert set(layout.images()) == {"server"}


def test_an_archive_names_its_images_and_holds_shared_layers_once(layout: Layout) -> None:
    files = archived(layout, "trainer", "server")
    index = json.loads(files["index.json"])
    names = [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]]
    assert names == ["docker.io/vaka/trainer:1", "docker.io/vaka/server:1"]
    assert list(files.values()).count(SHARED) == 1
    for digest in (*layout.blobs("trainer"), *layout.blobs("server")):
        assert f"blobs/{digest.replace(':', '/')}" in files


def test_an_archive_leaves_out_what_the_reader_has(layout: Layout) -> None:
    shared = f"sha256:{hashlib.sha256(SHARED).hexdigest()}"
    files = archived(layout, "trainer", without=(shared,))
    assert SHARED not in files.values()
    assert b"trainer" in files.values()


def test_pruning_removes_only_what_no_image_refers_to(layout: Layout) -> None:
    before = archived(layout, "server")
    push(layout, "trainer", SHARED, b"new")
    layout.record("trainer", reference="docker.io/vaka/trainer:1", key="new")
    assert layout.prune() > 0
    assert archived(layout, "server") == before
    assert b"new" in archived(layout, "trainer").values()
    assert not (layout.root / "blobs/sha256" / hashlib.sha256(b"trainer").hexdigest()).exists()
    assert layout.prune() == 0


def test_pruning_waits_for_who_is_reading(layout: Layout) -> None:
    push(layout, "trainer", bytes(3 * 2**20), b"old")
    layout.record("trainer", reference="docker.io/vaka/trainer:1", key="old")
    pruning = threading.Thread(target=layout.prune)

    class Reader(io.BytesIO):
        def write(self, content: Any) -> int:
            if pruning.ident is None:
                push(layout, "trainer", b"new")
                layout.record("trainer", reference="docker.io/vaka/trainer:1", key="new")
                pruning.start()
                pruning.join(timeout=0.2)
            return super().write(content)

    out = Reader()
    layout.write_archive(["trainer"], out)
    pruning.join()
    assert b"old" in out.getvalue()
    assert set(archived(layout, "trainer").values()) >= {b"new"}

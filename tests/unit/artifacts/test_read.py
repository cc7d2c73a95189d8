from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from vaka.artifacts.errors import DigestMismatch, ModelInvalid, ModelNotFound
from vaka.artifacts.manifest import File, Manifest, Signature, Tensor, encode
from vaka.artifacts.read import digest_at, graph_of, open_model


def identity(to: Path, element: int = TensorProto.FLOAT) -> Path:
    """An ONNX file that gives back its input of shape [batch, 2]."""
    tensor = helper.make_tensor_value_info
    node = helper.make_node("Identity", ["x"], ["y"])
    shape = ["batch", 2]
    graph = helper.make_graph([node], "g", [tensor("x", element, shape)], [tensor("y", element, shape)])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    onnx.save(model, to)
    return to


def published(folder: Path, **files: File) -> Path:
    """A model folder whose manifest lists the graph and the given files."""
    folder.mkdir()
    graph = identity(folder / "model.onnx")
    own = File(sha256=digest_at(graph).removeprefix("sha256:"), size=graph.stat().st_size)
    x, y = (Tensor(name=n, datatype="FP32", shape=[-1, 2]) for n in "xy")
    manifest = Manifest(
        name="m",
        architecture="cnn",
        task="tensor",
        signature=Signature(inputs=[x], outputs=[y]),
        files={"model.onnx": own, **{name.replace("__", "/"): file for name, file in files.items()}},
    )
    (folder / "manifest.json").write_bytes(encode(manifest))
    return folder


def test_a_good_folder_is_opened(tmp_path: Path) -> None:
    folder = published(tmp_path / "m")
    manifest = open_model(folder, digest=digest_at(folder))
    assert manifest.name == "m"
    assert graph_of(folder) == folder / "model.onnx"


def test_another_digest_is_refused_with_both(tmp_path: Path) -> None:
    folder = published(tmp_path / "m")
    with pytest.raises(DigestMismatch) as told:
        open_model(folder, digest="sha256:" + "0" * 64)
    assert digest_at(folder) in str(told.value)
    assert "0" * 64 in str(told.value)


@pytest.mark.parametrize("change", [lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[:-1], lambda _: b""])
def test_a_changed_file_is_refused_by_name(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    graph = published(tmp_path / "m") / "model.onnx"
    graph.write_bytes(change(graph.read_bytes()))
    with pytest.raises(DigestMismatch, match=r"model\.onnx has .* expected"):
        open_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["..__stolen", "__etc__hostname", "a__..__..__stolen"])
def test_a_manifest_may_not_reach_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "stolen").write_text("x")
    folder = published(tmp_path / "m", **{name: File(sha256="0" * 64, size=1)})
    with pytest.raises(ModelInvalid, match="leads outside"):
        open_model(folder)


def test_nor_may_a_link_in_it(tmp_path: Path) -> None:
    (tmp_path / "stolen").write_text("x")
    folder = published(tmp_path / "m", link=File(sha256="0" * 64, size=1))
    (folder / "link").symlink_to(tmp_path / "stolen")
    with pytest.raises(ModelInvalid, match="leads outside"):
        open_model(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = published(tmp_path / "m", weights=File(sha256="0" * 64, size=1))
    with pytest.raises(ModelInvalid, match="weights is missing"):
        open_model(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not a manifest"),
        (b"\xff", "is not a manifest"),
        (b'{"name": "m"}', "missing required field"),
        (b'{"formatVersion": 2}', "formatVersion"),
    ],
)
def test_a_broken_manifest_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ModelInvalid, match=said):
        open_model(tmp_path)


def test_a_manifest_without_graph_is_told(tmp_path: Path) -> None:
    empty = Signature(inputs=[], outputs=[])
    manifest = Manifest(name="m", architecture="cnn", task="tensor", signature=empty, files={})
    (tmp_path / "manifest.json").write_bytes(encode(manifest))
    with pytest.raises(ModelInvalid, match=r"lists no model\.onnx"):
        open_model(tmp_path)


def test_nothing_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no model at"):
        open_model(tmp_path / "none")
    with pytest.raises(ModelNotFound, match=r"has no manifest\.json"):
        open_model(tmp_path)


def test_a_bare_file_tells_its_own_signature(tmp_path: Path) -> None:
    path = identity(tmp_path / "net.onnx", TensorProto.STRING)
    manifest = open_model(path, digest=digest_at(path))
    assert (manifest.name, manifest.task) == ("net", "tensor")
    assert manifest.signature.inputs == [Tensor(name="x", datatype="BYTES", shape=[-1, 2])]
    assert graph_of(path) == path


def test_a_bare_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch, match="expected sha256:00"):
        open_model(identity(tmp_path / "net.onnx"), digest="sha256:00")


def test_what_is_no_onnx_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelInvalid, match="cannot be loaded as ONNX"):
        open_model(tmp_path / "net.onnx")
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(ModelInvalid, match="neither a model folder nor"):
        open_model(tmp_path / "net.pt")


def test_a_type_that_is_not_served_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"tensor\(bfloat16\)"):
        open_model(identity(tmp_path / "net.onnx", TensorProto.BFLOAT16))

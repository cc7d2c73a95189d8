"""Reading a model: nothing of it is used before its digests are checked."""

import hashlib
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import structs

from vaka.artifacts.errors import DigestMismatch, ModelInvalid, ModelNotFound
from vaka.artifacts.manifest import FULL, GRAPH, MANIFEST, File, Manifest, digest_of

ONNX = ".onnx"


def open_model(path: Path, *, digest: str | None = None) -> Manifest:
    """The manifest of the model at `path`, a model folder or a bare ONNX file, once all of it is verified.

    `digest` is what the model must have: for a folder the digest of manifest.json, for a bare file its own.
    A bare file gets a manifest with the graph's own signature and the task "tensor".
    """
    if _is_bare(path):
        return _bare(path, digest)
    content = _manifest_bytes(path)
    _check(path, digest, digest_of(content))
    manifest = _decode(path, content)
    for name, file in manifest.files.items():
        _verify(path, name, file)
    return manifest


def graph_of(path: Path) -> Path:
    """The ONNX file of the model at `path`."""
    return path if _is_bare(path) else path / GRAPH


def in_precision(path: Path, manifest: Manifest, precision: str) -> tuple[Path, Manifest]:
    """The graph of the model at `path` in this precision, and the manifest with what it achieves so.

    ModelInvalid where the model has no such variant.
    """
    if precision == FULL:
        return graph_of(path), manifest
    for variant in manifest.variants:
        if variant.precision == precision and variant.file in manifest.files:
            return path / variant.file, structs.replace(manifest, metrics=variant.metrics)
    raise ModelInvalid(
        f"{path} has no {precision} variant: make one with vaka quantize, or with the TrainingJob's "
        "spec.output.precisions, or serve it as it is"
    )


def digest_at(path: Path) -> str:
    """The digest that the model at `path` has now."""
    return _file_digest(path) if _is_bare(path) else digest_of(_manifest_bytes(path))


def _is_bare(path: Path) -> bool:
    if not path.exists():
        raise ModelNotFound(f"there is no model at {path}: expected a model folder or an ONNX file")
    if path.is_file() and path.suffix.lower() != ONNX:
        raise ModelInvalid(f"{path} is neither a model folder nor a file whose name ends in {ONNX}")
    return path.is_file()


def _manifest_bytes(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise ModelNotFound(
            f"{folder} has no {MANIFEST}, so it holds no complete model: publish one, or name an ONNX file"
        ) from None


def _decode(folder: Path, content: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelInvalid(
            f"{folder / MANIFEST} is not a manifest: {error}: publish the model again"
        ) from error
    if GRAPH not in manifest.files:
        raise ModelInvalid(f"{folder / MANIFEST} lists no {GRAPH}: publish the model again")
    return manifest


def _verify(folder: Path, name: str, file: File) -> None:
    path = folder / name
    if PurePosixPath(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise ModelInvalid(f"{folder / MANIFEST} lists {name!r}, which leads outside of the model folder")
    if not path.is_file():
        raise ModelInvalid(f"{path} is missing, though {MANIFEST} lists it: publish the model again")
    size = path.stat().st_size
    if size != file.size:
        raise DigestMismatch(f"{path} has {size} bytes, expected {file.size}: publish the model again")
    _check(path, f"sha256:{file.sha256}", _file_digest(path))


def _check(path: Path, expected: str | None, found: str) -> None:
    if expected is not None and expected != found:
        raise DigestMismatch(
            f"{path} has digest {found}, expected {expected}: give this digest, or put the right model there"
        )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _bare(path: Path, digest: str | None) -> Manifest:
    from onnxruntime import (  # type: ignore[import-untyped]
        GraphOptimizationLevel,
        InferenceSession,
        SessionOptions,
    )

    from vaka.artifacts.signature import signature_of

    found = _file_digest(path)
    _check(path, digest, found)
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL  # only looked at, never run
    try:
        session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base class of their own
        raise ModelInvalid(f"{path} cannot be loaded as ONNX: {error}") from error
    size = path.stat().st_size
    return Manifest(
        name=path.stem,
        architecture="onnx",
        task="tensor",
        signature=signature_of(session),
        files={path.name: File(sha256=found.removeprefix("sha256:"), size=size)},
    )

"""From a storage URI to a predictor that is verified and warm, or a report that says why not."""

from dataclasses import dataclass
from pathlib import Path

from vaka import storage
from vaka.api.contract import PublishedModel, Report
from vaka.api.reasons import Reason
from vaka.api.types import Metric
from vaka.artifacts.errors import DigestMismatch, ModelInvalid, ModelNotFound
from vaka.artifacts.manifest import Manifest
from vaka.artifacts.read import digest_at, graph_of, open_model
from vaka.serving.options import ModelSource
from vaka.serving.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    manifest: Manifest
    digest: str
    predictor: Predictor


REASONS: dict[type[Exception], Reason] = {
    ModelNotFound: Reason.MODEL_NOT_FOUND,
    ModelInvalid: Reason.MODEL_INVALID,
    DigestMismatch: Reason.DIGEST_MISMATCH,
    storage.NotFound: Reason.MODEL_NOT_FOUND,
    storage.StorageError: Reason.STORAGE_UNREACHABLE,
    OSError: Reason.STORAGE_UNREACHABLE,
}
"""Causes that a person can mend; a subclass stands before its base."""


def load(source: ModelSource, scratch: Path) -> LoadedModel:
    """Download into `scratch` if need be, verify, load and warm up. Raises one of REASONS."""
    path = storage.fetch(source.uri, scratch)
    manifest = open_model(path, digest=source.digest)
    predictor = Predictor(graph_of(path), manifest)
    predictor.warm_up()
    return LoadedModel(manifest=manifest, digest=source.digest or digest_at(path), predictor=predictor)


def loading(source: ModelSource) -> Report:
    return Report(reason=Reason.LOADING_MODEL, message=f"loading {source.uri}", waiting=True)


def failed(error: Exception) -> Report:
    """Why it is not loaded; the server tries again."""
    reason = next((r for kind, r in REASONS.items() if isinstance(error, kind)), Reason.MODEL_INVALID)
    return Report(reason=reason, message=f"{error}; trying again", waiting=True)


def ready(source: ModelSource, model: LoadedModel) -> Report:
    metrics = [Metric(name=name, value=f"{value:.6g}") for name, value in model.manifest.metrics.items()]
    published = PublishedModel(uri=source.uri, digest=model.digest, metrics=metrics)
    return Report(reason=Reason.READY, message=f"serving {source.uri}", model=published)

"""From a storage URI to a predictor that is verified and warm, or a report that says why not."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vaka import storage
from vaka.api.contract import PublishedModel, Report
from vaka.api.reasons import Reason
from vaka.api.types import Metric
from vaka.artifacts.errors import DigestMismatch, ModelError, ModelInvalid, ModelNotFound
from vaka.artifacts.manifest import FULL, Manifest
from vaka.artifacts.read import digest_at, in_precision, open_model
from vaka.serving.options import ModelSource
from vaka.serving.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    manifest: Manifest
    """With the metrics of the variant that was loaded, if it is one."""
    digest: str
    graph: Path
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


def load(
    source: ModelSource,
    scratch: Path,
    *,
    tell: Callable[[Report], None] = lambda _: None,
) -> LoadedModel:
    """Download if need be, verify, load and warm up. Raises one of REASONS.

    Args:
        scratch: folder for downloads; one that breaks off is gone on with at the next attempt.
        tell: told how far it is, from any thread.
    """
    with _local(source, scratch, tell) as (path, manifest):
        graph, manifest = in_precision(path, manifest, source.precision)
        predictor = Predictor(graph, manifest)
        predictor.warm_up()
        digest = source.digest or digest_at(path)
        return LoadedModel(manifest=manifest, digest=digest, graph=graph, predictor=predictor)


@contextmanager
def _local(
    source: ModelSource, scratch: Path, tell: Callable[[Report], None]
) -> Iterator[tuple[Path, Manifest]]:
    """The model on local disk, verified."""

    def progress(done: int, total: int) -> None:
        tell(loading(source, f"{done / 1e6:.0f} of {total / 1e6:.0f} MB", done * 100 // max(1, total)))

    if source.cache and source.digest and not storage.is_local(source.uri):

        def waiting() -> None:
            tell(loading(source, "another server on this disk downloads it"))

        with source.cache.held(source.uri, source.digest, progress=progress, waiting=waiting) as held:
            yield held
        return
    path, note = _fetched(source.uri, scratch, progress)
    try:
        manifest = open_model(path, digest=source.digest)
    except ModelError:
        note.unlink(missing_ok=True)
        raise
    yield path, manifest


def _fetched(uri: str, scratch: Path, progress: Callable[[int, int], None]) -> tuple[Path, Path]:
    """The model on local disk, and the note by which the server's other processes find it there.

    The first of them downloads it, the others wait.
    """
    note = scratch / ".fetched"
    if storage.is_local(uri):
        return storage.fetch(uri, scratch), note
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            note.write_text(str(storage.fetch(uri, scratch / "model", progress=progress)))
        return Path(note.read_text()), note


def loading(source: ModelSource, how_far: str = "", percentage: int | None = None) -> Report:
    message = f"loading {source.uri}" + (f": {how_far}" if how_far else "")
    return Report(reason=Reason.LOADING_MODEL, message=message, waiting=True, progress_percentage=percentage)


def failed(error: Exception) -> Report:
    """Why it is not loaded; the server tries again."""
    reason = next((r for kind, r in REASONS.items() if isinstance(error, kind)), Reason.MODEL_INVALID)
    return Report(reason=reason, message=f"{error}; trying again", waiting=True)


def ready(source: ModelSource, model: LoadedModel) -> Report:
    metrics = [Metric(name=name, value=f"{value:.6g}") for name, value in model.manifest.metrics.items()]
    published = PublishedModel(uri=source.uri, digest=model.digest, metrics=metrics)
    how = "" if source.precision == FULL else f" in {source.precision}"
    return Report(reason=Reason.READY, message=f"serving {source.uri}{how}", model=published)

"""The model that a server holds: loaded in the background, tried again until it is there."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from msgspec import structs

from vaka.api.contract import Report
from vaka.serving.errors import NotReady, UnknownModel
from vaka.serving.load import REASONS, LoadedModel, ModelSource, failed, load, loading, ready
from vaka.serving.tensors import Array
from vaka.serving.v2 import VERSION

FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0

log = logging.getLogger(__name__)


class ModelHolder:
    """One model and the one thread that runs it: every protocol hands its arrays to `infer`."""

    def __init__(self, source: ModelSource, scratch: Path) -> None:
        self.source = source
        self.report: Report = loading(source)
        self.draining = False
        self._scratch = scratch
        self._loaded: LoadedModel | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def ready(self) -> bool:
        return self._loaded is not None and not self.draining

    def drain(self) -> None:
        """Say from now on that it is not ready, and go on answering."""
        self.draining = True
        self.report = structs.replace(self.report, message="shutting down: requests in flight are finished")

    async def keep_loading(self) -> None:
        """Load the model; while that fails, say why in the report and try again."""
        delay = FIRST_DELAY
        while self._loaded is None:
            try:
                self._loaded = await asyncio.to_thread(load, self.source, self._scratch, tell=self._tell)
            except Exception as error:
                self._note_failure(error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_DELAY)
        self.report = ready(self.source, self._loaded)
        log.info("%s, digest %s", self.report.message, self._loaded.digest)

    def _tell(self, report: Report) -> None:
        self.report = report

    def check(self, name: str, version: str = VERSION) -> None:
        """UnknownModel unless this name and version are the ones served here, loaded or not."""
        if name != self.source.name:
            raise UnknownModel(f"no model {name!r} is served here, only {self.source.name!r}")
        if version != VERSION:
            raise UnknownModel(f"model {name!r} has no version {version!r}, only {VERSION!r}")

    def loaded(self, name: str, version: str = VERSION) -> LoadedModel:
        """The model of this name and version; NotReady while it is not loaded."""
        self.check(name, version)
        if self._loaded is None:
            raise NotReady(f"model {name!r} is not ready: {self.report.reason}: {self.report.message}")
        return self._loaded

    async def infer(
        self,
        model: LoadedModel,
        inputs: Mapping[str, Array],
        outputs: Collection[str] = (),
        *,
        observe: Callable[[float], None],
    ) -> dict[str, Array]:
        """The model's outputs for these arrays, computed off the event loop, one call at a time.

        `observe` is told the seconds that the model took.
        """

        def work() -> dict[str, Array]:
            start = perf_counter()
            results = model.predictor.predict(inputs, outputs)
            observe(perf_counter() - start)
            return results

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def info(self) -> dict[str, str]:
        """Labels of the model for the metrics; empty while there is none."""
        if self._loaded is None:
            return {}
        manifest = self._loaded.manifest
        own = {"architecture": manifest.architecture, "task": manifest.task}
        return own | {"name": self.source.name, "digest": self._loaded.digest}

    def _note_failure(self, error: Exception) -> None:
        report = failed(error)
        if report != self.report:
            unexpected = not isinstance(error, tuple(REASONS))
            log.warning("%s: %s", report.reason, report.message, exc_info=unexpected)
        self.report = report

"""A model that a server holds: loaded in the background, tried again until it is there."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import structs

from vaka.api.contract import Report
from vaka.artifacts.manifest import FULL
from vaka.models.pipeline import Arrays
from vaka.serving.batcher import Batcher, BatchPolicy, Observe
from vaka.serving.engines.choice import quicker
from vaka.serving.engines.onnx_runtime import OnnxRuntime
from vaka.serving.errors import NotReady
from vaka.serving.load import REASONS, LoadedModel, failed, load, loading, ready
from vaka.serving.options import ModelSource
from vaka.serving.taps.tap import Exchange, Tap

FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0

log = logging.getLogger(__name__)


class ModelHolder:
    """One model, and the batcher that runs it: every protocol hands its arrays to `infer`."""

    def __init__(
        self,
        source: ModelSource,
        scratch: Path,
        policy: BatchPolicy,
        observe: Observe,
        *,
        taps: Sequence[Tap] = (),
    ) -> None:
        self.source = source
        self.report: Report = loading(source)
        self.draining = False
        self._scratch = scratch
        self._policy = policy
        self._observe = observe
        self._taps = taps
        self._loaded: LoadedModel | None = None
        self._batcher: Batcher | None = None

    @property
    def ready(self) -> bool:
        return self._batcher is not None and not self.draining

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
        predictor = self._loaded.predictor
        self._batcher = Batcher(
            predictor.run, self._policy, batchable=predictor.batchable, observe=self._observe
        )
        self.report = ready(self.source, self._loaded)
        log.info("%s, digest %s", self.report.message, self._loaded.digest)

    async def quicken(self) -> None:
        """Go over to a quicker engine, if there is one for this model: it is served meanwhile."""
        loaded = self.model
        if self.source.precision == FULL and isinstance(loaded.predictor.engine, OnnxRuntime):
            engine = await quicker(loaded.predictor.engine, loaded.graph, self._scratch)
            loaded.predictor.engine = engine or loaded.predictor.engine

    def _tell(self, report: Report) -> None:
        self.report = report

    @property
    def model(self) -> LoadedModel:
        """NotReady while it is not loaded."""
        if self._loaded is None:
            told = f"model {self.source.name!r} is not ready"
            raise NotReady(f"{told}: {self.report.reason}: {self.report.message}")
        return self._loaded

    async def infer(
        self,
        inputs: Arrays,
        outputs: Collection[str] = (),
        *,
        timeout: float | None = None,
    ) -> Arrays:
        """The model's outputs for these arrays; see Batcher.infer. BadInput where they do not fit it."""
        predictor = self.model.predictor
        assert self._batcher
        predictor.check(inputs, outputs)
        if predictor.pipeline.threaded:
            encoded, told = await asyncio.to_thread(predictor.pipeline.encode, inputs)
        else:
            encoded, told = predictor.pipeline.encode(inputs)
        found = await self._batcher.infer(encoded, predictor.needed(outputs), timeout=timeout)
        results = predictor.decode(found, told, outputs)
        if self._taps:
            named = {"model": self.source.name, "version": self.source.version}
            exchange = Exchange(inputs=inputs, outputs=results, **named)
            for tap in self._taps:
                tap.offer(exchange)
        return results

    def info(self) -> dict[str, str]:
        """Labels of the model for the metrics; empty while there is none."""
        if self._loaded is None:
            return {}
        manifest = self._loaded.manifest
        own = {"architecture": manifest.architecture, "task": manifest.task}
        own |= {"engine": self._loaded.predictor.engine.name}
        named = {"name": self.source.name, "version": self.source.version}
        return own | named | {"digest": self._loaded.digest}

    def _note_failure(self, error: Exception) -> None:
        report = failed(error)
        if report != self.report:
            unexpected = not isinstance(error, tuple(REASONS))
            log.warning("%s: %s", report.reason, report.message, exc_info=unexpected)
        self.report = report

"""The versions of the model that a server has, side by side."""

import asyncio
from collections.abc import Sequence

from msgspec import structs

from vaka.api.contract import Report
from vaka.serving.errors import UnknownModel
from vaka.serving.holder import ModelHolder
from vaka.serving.options import DEFAULT_VERSION


class Repository:
    """One holder for each version; they all have the model's name. The first is the default version."""

    def __init__(self, holders: Sequence[ModelHolder]) -> None:
        self._holders = {holder.source.version: holder for holder in holders}
        self._default = holders[0]
        self.name = self._default.source.name

    @property
    def versions(self) -> list[str]:
        return list(self._holders)

    @property
    def ready(self) -> bool:
        """Whether every version is loaded, and the server is not about to go."""
        return all(holder.ready for holder in self._holders.values())

    @property
    def draining(self) -> bool:
        return self._default.draining

    @property
    def report(self) -> Report:
        """That of the default version, or of the first one that is not ready."""
        for version, holder in self._holders.items():
            if not holder.ready and version != DEFAULT_VERSION:
                return structs.replace(holder.report, message=f"version {version}: {holder.report.message}")
            if not holder.ready:
                break
        return self._default.report

    def find(self, name: str, version: str = "") -> ModelHolder:
        """The holder of this name and version, loaded or not; UnknownModel where there is none.

        Without a version the default is meant.
        """
        if name != self.name:
            raise UnknownModel(f"no model {name!r} is served here, only {self.name!r}")
        if not version:
            return self._default
        if version not in self._holders:
            known = ", ".join(self._holders)
            raise UnknownModel(f"model {name!r} has no version {version!r}: known are {known}")
        return self._holders[version]

    def drain(self) -> None:
        """Say from now on that nothing is ready, and go on answering."""
        for holder in self._holders.values():
            holder.drain()

    async def keep_loading(self) -> None:
        """Load all; while one fails, try again."""
        await asyncio.gather(*(holder.keep_loading() for holder in self._holders.values()))

    async def quicken(self) -> None:
        """Look for quicker engines, once all are loaded."""
        for holder in self._holders.values():
            await holder.quicken()

    def info(self) -> list[dict[str, str]]:
        """Labels for the metrics of each version that is loaded."""
        return [info for holder in self._holders.values() if (info := holder.info())]

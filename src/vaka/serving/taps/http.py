"""Taps that pass exchanges on by HTTP."""

from typing import Self

import aiohttp

from vaka.serving.taps.tap import Tap

TIMEOUT = aiohttp.ClientTimeout(total=10)


class HttpTap(Tap):
    """Has a client while it runs."""

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

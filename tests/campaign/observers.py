"""What is observed beside the load: whether the processes live, and when the campaign itself did not run."""

import asyncio
import time

from .client import ApiClient
from .evidence import Call

TICK_S = 0.1
LONGEST_TICK_S = 0.3
"""A longer one means that this process did not run, and so measured its own wait."""

PROBE_EVERY_S = 0.25


class Observers:
    """`pauses` and `probes` are records for the judge."""

    def __init__(self, api: ApiClient) -> None:
        self.pauses: list[tuple[float, float]] = []
        self.probes: list[Call] = []
        self._api = api

    async def find_pauses(self) -> None:
        """Note when this process was kept from running, until canceled."""
        while True:
            began = time.time()
            await asyncio.sleep(TICK_S)
            if time.time() - began > LONGEST_TICK_S:
                self.pauses.append((began, time.time()))

    async def probe_health(self) -> None:
        """Ask each process for `/healthz` again and again, until canceled."""
        await asyncio.gather(*(self._probe(api) for api in self._api.endpoints.apis))

    async def _probe(self, api: str) -> None:
        while True:
            self.probes.append(await self._api.probe(api))
            await asyncio.sleep(PROBE_EVERY_S)

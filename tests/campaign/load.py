"""The load of a run: callers that arrive at random times, each with one scenario.

Each caller has a random generator of its own, so that a seed gives the same callers whatever the service does.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import httpx

from .caller import Caller
from .client import ApiClient
from .scenarios import SCENARIOS

_AREAS = ("202", "212", "305", "415")
_EXCHANGES = tuple(exchange for exchange in range(500, 600) if exchange != 511)  # no exchange ends in 11


@dataclass
class Load:
    """The callers of a run: they arrive at a random but repeatable rate, whatever state the service is in."""

    api: ApiClient
    seed: int
    rate_per_s: float
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    async def run(self, load_s: float) -> None:
        """Start callers for `load_s` seconds, then wait until the last has finished."""
        began = time.monotonic()
        arrivals = random.Random(f"{self.seed}/arrivals")
        due = 0.0
        while (due := due + arrivals.expovariate(self.rate_per_s)) < load_s:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            self.tasks.append(asyncio.create_task(self._run_caller(len(self.tasks))))
        await asyncio.gather(*self.tasks)

    async def _run_caller(self, index: int) -> None:
        rng = random.Random(f"{self.seed}/caller/{index}")
        scenario = rng.choices([scenario for _, scenario in SCENARIOS], [weight for weight, _ in SCENARIOS])[0]
        try:
            await scenario(Caller(self.api, number_of(index), f"c{self.seed}-{index}", rng))
        except httpx.TransportError as error:
            # Requests to the service are recorded and raise nothing: it was the sandbox that could not be reached.
            self.troubles.append(f"{scenario.__name__} of number {index}: {type(error).__name__}")
        except Exception as error:  # noqa: BLE001 - a caller that fails is reported at the end
            self.failures.append(f"caller: {scenario.__name__} of number {index}: {type(error).__name__}: {error}")

    @property
    def numbers(self) -> list[str]:
        """The numbers of all callers."""
        return [number_of(index) for index in range(len(self.tasks))]


def number_of(index: int) -> str:
    """The number of a caller; no other caller has it."""
    return f"+1{_AREAS[index % 4]}{_EXCHANGES[index // 10_000 % len(_EXCHANGES)]}{index % 10_000:04d}"

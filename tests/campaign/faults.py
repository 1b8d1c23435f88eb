"""The faults of a run: a plan from the seed, and the injector that carries it out.

There are two sequences at the same time, one of faults in the processes and the store, one of faults at the carrier.
Faults of one sequence therefore overlap with those of the other. Each sequence injects all its kinds in random order
before it repeats one. It pauses between two faults, so that the recovery from each can be measured.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from .cluster import Cluster
from .evidence import Fault
from .store_faults import StoreFaults

SETTLE_S = 3.0
"""The load goes on for so long after the last fault."""

_DEFAULTS: Mapping[str, Any] = {
    "send": {"mode": "ok", "latency_ms": 0, "rate": 1.0},
    "delivery": {"outcome": "delivered", "error_code": "40008", "delay_ms": 50},
    "webhooks": {"duplicate": 1, "reorder": False, "early": False, "forge_rate": 0.0, "drop_rate": 0.0},
    "wait_seconds": 0,
}
_BACKUP = "+18445550001"


@dataclass(frozen=True, slots=True)
class Planned:
    """One planned fault. `at` is in seconds after the load begins, `lasts` in seconds."""

    at: float
    kind: str
    target: str
    lasts: float


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: its targets, how long it lasts, and the pause after it (shortest and longest, in seconds)."""

    name: str
    targets: tuple[str, ...]
    lasts: tuple[float, float]
    pause: tuple[float, float] = (1.5, 2.5)


_APIS, _WORKERS = ("api1", "api2"), ("worker1", "worker2")
PROCESS_KINDS: Sequence[Kind] = (
    Kind("kill_worker", _WORKERS, (0.0, 1.0)),
    Kind("kill_api", _APIS, (0.0, 0.8)),
    Kind("kill_api_child", _APIS, (0.0, 0.0)),
    Kind("kill_store", ("store",), (0.0, 1.2)),
    Kind("stop_store", ("store",), (0.3, 3.0)),
    # Longer than the six seconds after which another worker takes over the entries of the stopped one.
    Kind("stop_worker", _WORKERS, (1.0, 8.0), (0.8, 1.2)),
    Kind("stop_api", _APIS, (0.5, 3.0)),
    Kind("kill_connections", ("store",), (0.5, 2.0)),
    Kind("flush_scripts", ("store",), (0.5, 2.0)),
)
_COMMON = frozenset(kind.name for kind in PROCESS_KINDS) - {"kill_store", "stop_store"}
_ELECTING: Mapping[str, Sequence[Kind]] = {
    "sentinel": (
        Kind("planned_failover", ("store",), (2.0, 3.0)),
        Kind("kill_primary", ("store",), (3.0, 6.0)),
        # Shorter and longer than the time after which the sentinels call it down.
        Kind("hang_primary", ("store",), (0.3, 5.0)),
        Kind("partition", ("store",), (5.0, 8.0)),
    ),
    "cluster": (
        Kind("planned_failover", ("store",), (1.0, 2.0)),
        Kind("kill_primary", ("store",), (4.0, 8.0)),
        Kind("hang_primary", ("store",), (0.3, 6.0)),
        Kind("shard_down", ("store",), (2.0, 4.0)),
    ),
}
CARRIER_KINDS: Sequence[Kind] = (
    Kind("http_500", ("carrier",), (1.0, 4.0), (0.8, 1.5)),
    Kind("http_429", ("carrier",), (1.0, 4.0), (0.8, 1.5)),
    Kind("timeout", ("carrier",), (0.8, 2.5), (0.8, 1.5)),
    Kind("reset_after_request", ("carrier",), (1.0, 4.0), (0.8, 1.5)),
    Kind("half_body", ("carrier",), (1.0, 4.0), (0.8, 1.5)),
    Kind("slow", ("carrier",), (1.0, 3.0), (0.8, 1.5)),
    Kind("carrier_queue", ("carrier",), (0.5, 1.5), (0.8, 1.5)),
    Kind("failing", ("carrier",), (1.0, 3.0), (0.8, 1.5)),
    Kind("silent", ("carrier",), (0.5, 2.0), (0.8, 1.5)),
    Kind("webhook_duplication", ("carrier",), (2.0, 4.0), (0.5, 1.0)),
    Kind("webhook_disorder", ("carrier",), (2.0, 4.0), (0.5, 1.0)),
    Kind("webhook_early", ("carrier",), (1.5, 3.0), (0.5, 1.0)),
    Kind("webhook_delay", ("carrier",), (1.0, 3.0), (0.5, 1.0)),
    Kind("webhook_loss", ("carrier",), (1.0, 3.0), (0.5, 1.0)),
    Kind("webhook_forgery", ("carrier",), (2.0, 4.0), (0.5, 1.0)),
)


def process_kinds(store: str = "server") -> Sequence[Kind]:
    """The faults in the processes and the store, for a kind of store."""
    if store not in _ELECTING:
        return PROCESS_KINDS
    return (*(kind for kind in PROCESS_KINDS if kind.name in _COMMON), *_ELECTING[store])


def plan(seed: int, load_s: float, store: str = "server") -> list[Planned]:
    """All faults of a run in order of time. The same seed, length and store give the same plan."""
    until = load_s - SETTLE_S
    faults = [
        *_sequence(random.Random(f"{seed}/processes"), process_kinds(store), until, _ELECTING.get(store, ())),
        *_sequence(random.Random(f"{seed}/carrier"), CARRIER_KINDS, until),
    ]
    return sorted(faults, key=lambda planned: planned.at)


def _sequence(rng: random.Random, kinds: Sequence[Kind], until: float, first: Sequence[Kind] = ()) -> Iterator[Planned]:
    """`first`: kinds that come before all others, so that a short run has some of them."""
    at, others = rng.uniform(1.5, 3.0), [kind for kind in kinds if kind not in first]
    # Taken from the end.
    remaining = [*rng.sample(others, len(others)), *rng.sample(first, len(first))]
    while True:
        if not remaining:
            remaining = rng.sample(kinds, len(kinds))
        kind = remaining.pop()
        lasts = rng.uniform(*kind.lasts)
        if at + lasts > until:
            return
        yield Planned(round(at, 2), kind.name, rng.choice(kind.targets), round(lasts, 2))
        at += lasts + rng.uniform(*kind.pause)


def chaos_of(planned: Planned, seed: int) -> Mapping[str, Any]:
    """The sandbox's failure settings for this fault."""
    rng = random.Random(f"{seed}/chaos/{planned.at}")
    rate = rng.choice((0.3, 0.6, 1.0))
    match planned.kind:
        case "slow":
            # Shorter and longer than the five seconds that the service waits for a response.
            return {"send": {"mode": "slow", "latency_ms": rng.choice((400, 1500, 6000)), "rate": rate}}
        case "carrier_queue":
            # Accepted, and held for shorter and longer than `sent_within`.
            return {"wait_seconds": rng.choice((1, 4, 9))}
        case "failing":
            outcome = rng.choice(("delivery_failed", "sending_failed"))
            overrides = {_BACKUP: {"delivery": {"outcome": "delivered"}}} if rng.random() < 0.7 else {}
            return {"delivery": {"outcome": outcome, "error_code": "40008"}, "senders": overrides}
        case "silent":
            return {"delivery": {"outcome": "none"}}
        case "webhook_duplication":
            return {"webhooks": {"duplicate": rng.choice((2, 3, 5))}}
        case "webhook_disorder":
            return {"webhooks": {"reorder": True, "duplicate": 2}}
        case "webhook_early":
            return {"webhooks": {"early": True}}
        case "webhook_delay":
            return {"delivery": {"delay_ms": rng.choice((1000, 4000, 12000))}}
        case "webhook_loss":
            return {"webhooks": {"drop_rate": rng.choice((0.3, 0.7, 1.0))}}
        case "webhook_forgery":
            return {"webhooks": {"forge_rate": 1.0}}
        case mode:
            return {"send": {"mode": mode, "latency_ms": 0, "rate": rate}}


class FaultInjector:
    """Carries out a plan and records each fault with its real times."""

    def __init__(self, cluster: Cluster, seed: int, on_fault: Callable[[Fault], None]) -> None:
        self.faults: list[Fault] = []
        self._cluster = cluster
        self._seed = seed
        self._on_fault = on_fault
        self._store = StoreFaults(cluster)

    async def run(self, planned: Sequence[Planned]) -> None:
        """Inject both sequences to the end of the plan, and record every election."""
        watching = asyncio.create_task(self._store.watch(self.faults.append))
        try:
            await self._run(planned)
        finally:
            watching.cancel()

    async def _run(self, planned: Sequence[Planned]) -> None:
        began = time.monotonic()
        carrier = [fault for fault in planned if fault.target == "carrier"]
        others = [fault for fault in planned if fault.target != "carrier"]
        await asyncio.gather(self._inject(carrier, began), self._inject(others, began))

    async def _inject(self, planned: Sequence[Planned], began: float) -> None:
        for fault in planned:
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            await self._store.ready_for(fault.kind)
            at = time.time()
            target = await self._carry_out(fault)
            slots = self._store.unserved if fault.kind == "shard_down" else ()
            done = Fault(fault.kind, at, time.time(), target, slots)
            self.faults.append(done)
            self._on_fault(done)

    async def _carry_out(self, fault: Planned) -> str:
        """Do it, and return what it was done to."""
        if fault.target == "carrier":
            await self._carrier(fault)
        elif fault.kind in self._store.actions:
            return await self._store.actions[fault.kind](fault.lasts)
        else:
            await self._actions[fault.kind](self, fault)
        return fault.target

    async def restore(self) -> None:
        """Restore the sandbox's defaults."""
        await self._configure({**_DEFAULTS, "senders": {_BACKUP: None}})

    async def _carrier(self, fault: Planned) -> None:
        await self._configure(chaos_of(fault, self._seed))
        await asyncio.sleep(fault.lasts)
        await self.restore()

    async def _configure(self, chaos: Mapping[str, Any]) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            response = await client.put(f"{self._cluster.sandbox_url}/sandbox/chaos", json=chaos)
            response.raise_for_status()

    # ---- processes and store ---------------------------------------------------------------------------------------

    async def _kill(self, fault: Planned) -> None:
        await self._cluster.kill(fault.target)
        await asyncio.sleep(fault.lasts)
        self._cluster.start(fault.target)

    async def _kill_child(self, fault: Planned) -> None:
        self._cluster.kill_child(fault.target)

    async def _stop(self, fault: Planned) -> None:
        with self._cluster.stopped(fault.target):
            await asyncio.sleep(fault.lasts)

    _actions: Mapping[str, "Callable[[FaultInjector, Planned], Awaitable[None]]"] = {
        "kill_worker": _kill,
        "kill_api": _kill,
        "kill_api_child": _kill_child,
        "stop_worker": _stop,
        "stop_api": _stop,
    }

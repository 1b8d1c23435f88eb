"""Faults of the store: of one server, of a primary that others stand in for, of a whole shard.

Each action lasts the given seconds and returns the server that it was done to. `watch` records every election: a new
primary appears by a fault of ours, or because a busy machine looked dead to the others.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import redis

from .cluster import Cluster
from .evidence import Fault

ELECTED = "elected"
WATCH_EVERY_S = 0.1
WHOLE_WITHIN_S = 25.0
"""How long a fault waits until the store has recovered from the one before."""

Action = Callable[[float], Awaitable[str]]


class StoreFaults:
    """Hurts the store of a cluster. `actions` by the kind of fault."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._elections: list[str] = []
        self.unserved: Sequence[tuple[int, int]] = ()
        """The slots of the shard that was killed last."""
        self.actions: Mapping[str, Action] = {
            "kill_store": self._kill,
            "kill_primary": self._kill,
            "stop_store": self._hang,
            "hang_primary": self._hang,
            "planned_failover": self._fail_over,
            "partition": self._isolate,
            "shard_down": self._kill_shard,
            "kill_connections": self._kill_connections,
            "flush_scripts": self._flush_scripts,
        }

    async def ready_for(self, kind: str) -> None:
        """Wait until the store is whole, for a fault that needs a replica."""
        if self._store.kind == "server" or kind not in self.actions:
            return
        deadline = time.monotonic() + WHOLE_WITHIN_S
        while time.monotonic() < deadline and not await asyncio.to_thread(self._store.is_whole):
            await asyncio.sleep(0.2)

    async def watch(self, record: Callable[[Fault], object]) -> None:
        """Record when a server becomes a primary, until canceled."""
        known = set(await self._primaries())
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now = set(await self._primaries())
            for name in sorted(now - known) if self._store.kind != "server" else ():
                record(Fault(ELECTED, time.time() - WATCH_EVERY_S, time.time(), name))
            # One that does not respond is not forgotten: it has not been elected when it responds again.
            known = now | {name for name in known if await self._is_silent(name)}

    async def _primaries(self) -> list[str]:
        return await asyncio.to_thread(self._store.primaries)

    async def _is_silent(self, name: str) -> bool:
        return await asyncio.to_thread(self._store.ask, name, "PING") is None

    async def _primary(self, *, last: bool = False) -> str:
        """One of the primaries, another one each time. `last`: of several the last one."""
        found = await self._primaries()
        chosen = min(found[::-1] if last else found, key=self._elections.count, default=self._store.data[0])
        self._elections.append(chosen)
        return chosen

    async def _kill(self, lasts: float) -> str:
        name = await self._primary()
        await self._cluster.kill(name)
        await asyncio.sleep(lasts)
        self._cluster.start(name)
        return name

    async def _hang(self, lasts: float) -> str:
        name = await self._primary()
        with self._cluster.stopped(name):
            await asyncio.sleep(lasts)
        return name

    async def _fail_over(self, lasts: float) -> str:
        name = await self._primary()
        deadline = time.monotonic() + lasts
        while not await asyncio.to_thread(self._store.begin_failover, name) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        await asyncio.sleep(max(0.0, deadline - time.monotonic()))
        return name

    async def _isolate(self, lasts: float) -> str:
        name = await self._primary()
        await asyncio.to_thread(self._store.isolate, name)
        try:
            await asyncio.sleep(lasts)
        finally:
            await asyncio.to_thread(self._store.rejoin, name)
        return name

    async def _kill_shard(self, lasts: float) -> str:
        # The first has the API keys, which every request needs.
        name = await self._primary(last=True)
        self.unserved = await asyncio.to_thread(self._store.slots_of, name)
        replica = await asyncio.to_thread(self._store.replica_of, name)
        names = [each for each in (replica, name) if each]
        for each in names:
            await self._cluster.kill(each)
        await asyncio.sleep(lasts)
        for each in reversed(names):
            self._cluster.start(each)
        return name

    async def _kill_connections(self, lasts: float) -> str:
        return await self._repeat(lasts, lambda client: client.client_kill_filter(_type="normal", skipme=True))

    async def _flush_scripts(self, lasts: float) -> str:
        return await self._repeat(lasts, lambda client: client.script_flush())

    async def _repeat(self, lasts: float, do: Callable[[redis.Redis], object]) -> str:
        deadline = time.monotonic() + lasts
        while True:
            for name in await self._primaries():
                await asyncio.to_thread(self._do, name, do)
            if time.monotonic() >= deadline:
                return "store"
            await asyncio.sleep(0.1)

    def _do(self, name: str, do: Callable[[redis.Redis], object]) -> None:
        with contextlib.suppress(redis.RedisError), contextlib.closing(self._store.client(name)) as client:
            do(client)

"""Counting the replicas, for the guard of a process, and doing without one that is gone.

How many have to follow is in the store: as many as ever followed since its primary became that, whatever restarts it
had. It is lowered when one has been away for `GONE_S` and a majority of the sentinels, or of the Cluster's primaries,
says that nobody takes over. Where neither is, nobody knows that: the replica has to come back, or an operator says that
it is gone for good.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from .answering import STORE_ERRORS
from .cluster_primaries import ask_primaries, may_do_without
from .primary import SentinelPrimaryPool
from .readiness import beside
from .replica_guard import ReplicaGuard
from .schema import Keys
from .scripts import Call, Scripts
from .store import Store

GONE_S = 5.0
"""So long a replica has to be away before the others are enough. A failover that sentinels decide takes less."""

ASK_AGAIN_S = 1.0
"""Between two questions whether somebody takes over."""

CLUSTER_LOOK_S = 1.0
"""Between two looks at the shards of a Cluster where nothing is new and none lacks a replica. A script that finds
another number than its process knows says so at once."""

RUN_LENGTH = 12
"""Of a run's name, as the scripts have it."""


class Counted(NamedTuple):
    """The run of a server, how many replicas follow it, and how many have to."""

    run: str
    follow: int
    need: int

    def may_be_lowered(self, least: int) -> bool:
        """Whether some are missing, and so many are there."""
        return least <= self.follow < self.need


class Replicas:
    """The replicas of one store, as one process counts them. `look` is for one thread."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, guard: ReplicaGuard, expected: int | None) -> None:
        """`expected`: so many at least have to follow, of each shard of a Cluster; 0 leaves the guard as it is.

        None: those have to that ever followed, and a server that none followed is a store without replicas.
        """
        self._store = store
        self._scripts = scripts
        self._runs = [*map(keys.run, range(keys.shards)), keys.api_keys_run()]
        self._guard = guard
        self._least = 0 if expected is None else 1
        self._expected = expected or 0
        self._missing_since: dict[str, float] = {}
        self._next_look = 0.0
        guard.on = guard.on or expected is None or expected > 0
        guard.expected = max(guard.expected, self._expected)

    def look(self) -> None:
        """Count them. Raises StoreUnavailable if no shard answers."""
        if not self._guard.on or self._has_just_looked():
            return
        self._next_look = time.monotonic() + CLUSTER_LOOK_S
        self._guard.has_news = False
        self._do_without(self._count("", ""))

    def _has_just_looked(self) -> bool:
        calm = not self._guard.missing and not self._guard.has_news
        return self._store.is_cluster and calm and time.monotonic() < self._next_look

    def counted(self) -> list[Counted]:
        """What each server has, in the order of their shards; those that do not answer are left out.

        Raises StoreUnavailable if none answers.
        """
        return list(dict.fromkeys(self._count("", "")))

    def lower(self) -> list[Counted]:
        """Do without all that are missing: they are gone for good, says an operator. What each server has then.

        Where replicas are expected, a server that none follows keeps what it needs. Raises StoreUnavailable if none
        answers.
        """
        for server in self.counted():
            if server.may_be_lowered(self._least):
                self._count(server.run, server.follow)
        return self.counted()

    def _count(self, lower_in: str, lower_to: int | str) -> list[Counted]:
        calls: list[Call] = [({"run": run}, {"lower_in": lower_in, "lower_to": lower_to}) for run in self._runs]
        replies = self._scripts.call_together("store/count_replicas", calls)
        for run, reply in zip(self._runs, replies, strict=True):
            if not isinstance(reply, Exception):
                _, follow, need = reply
                self._guard.learn_counted(run, follow, need)
        answered = [Counted(*reply) for reply in replies if not isinstance(reply, Exception)]
        if not answered:
            raise replies[0]
        return answered

    def _do_without(self, counts: Sequence[Counted]) -> None:
        """Do without replicas that have been away for long, where nobody takes over."""
        least = max(self._least, self._expected)
        missing = {server.run: server for server in counts if server.may_be_lowered(least)}
        now = time.monotonic()
        self._missing_since = {run: self._missing_since.get(run, now) for run in missing}
        long_ago = [server for run, server in missing.items() if now - self._missing_since[run] >= GONE_S]
        self._missing_since.update({server.run: now - GONE_S + ASK_AGAIN_S for server in long_ago})
        for server in self._settled(long_ago):
            self._count(server.run, server.follow)

    def _settled(self, servers: Sequence[Counted]) -> Sequence[Counted]:
        """Those from which nobody takes over but a replica that follows. The primaries are asked once for all."""
        if not servers:
            return ()
        if self._store.is_cluster:
            told = ask_primaries(self._store)
            return [server for server in servers if may_do_without(told, server.run, server.follow)]
        pool = self._store.client.connection_pool
        return [one for one in servers if isinstance(pool, SentinelPrimaryPool) and _sentinels_name(pool, one.run)]


def _sentinels_name(pool: SentinelPrimaryPool, run: str) -> bool:
    """Whether a majority of the sentinels names the server of this run, and none of them a failover."""
    try:
        address = pool.sentinels.discover_master()
    except STORE_ERRORS:
        return False
    return pool.sentinels.confirm(address) and _run_at(pool, *address) == run


def _run_at(pool: SentinelPrimaryPool, host: str, port: int) -> str:
    """The run of the server at this address."""
    one = beside(pool, host, port)
    try:
        told: Any = one.info("replication")
        return str(told["master_replid"])[:RUN_LENGTH] if told["role"] == "master" else ""
    except STORE_ERRORS:
        return ""
    finally:
        one.close()

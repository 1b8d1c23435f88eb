"""Counting the replicas, for the guard of a process, and doing without one that is gone.

How many have to follow is in the store: as many as ever followed since its primary became that, whatever restarts it
had. It is lowered when one has been away for `GONE_S` and a majority of the sentinels says that nobody takes over.
Without sentinels nobody knows that: the replica has to come back, or an operator says that it is gone for good.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from .answering import STORE_ERRORS
from .primary import SentinelPrimaryPool
from .readiness import beside
from .replica_guard import ReplicaGuard
from .schema import Keys
from .scripts import Call, Scripts
from .store import Store

GONE_S = 5.0
"""So long a replica has to be away before the others are enough. A failover takes less."""

RUN_LENGTH = 12
"""Of a run's name, as the scripts have it."""


class Counted(NamedTuple):
    """The run of a server, how many replicas follow it, and how many have to."""

    run: str
    follow: int
    need: int

    @property
    def may_be_lowered(self) -> bool:
        """Whether some are missing, and not all."""
        return 0 < self.follow < self.need


class Replicas:
    """The replicas of one store, as one process counts them. `look` is for one thread."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, guard: ReplicaGuard, expected: int) -> None:
        """`expected`: so many at least have to follow, of each shard of a Cluster; 0 leaves the guard as it is."""
        self._store = store
        self._scripts = scripts
        self._runs = [*map(keys.run, range(keys.shards)), keys.api_keys_run()]
        self._guard = guard
        self._expected = expected
        self._missing_since: float | None = None
        guard.on = guard.on or expected > 0
        guard.expected = max(guard.expected, expected)

    def look(self) -> None:
        """Count them. Raises StoreUnavailable if no shard answers."""
        if not self._guard.on:
            return
        counts = self._count("", "")
        self._missing_since = self._lowered(counts)

    def counted(self) -> list[Counted]:
        """What each server has, in the order of their shards; those that do not answer are left out.

        Raises StoreUnavailable if none answers.
        """
        return list(dict.fromkeys(self._count("", "")))

    def lower(self) -> list[Counted]:
        """Do without all that are missing: they are gone for good, says an operator. What each server has then.

        A server that no replica follows keeps what it needs. Raises StoreUnavailable if none answers.
        """
        for server in self.counted():
            if server.may_be_lowered:
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

    def _lowered(self, counts: Sequence[Counted]) -> float | None:
        """Do without replicas that have been away for long; since when some are missing."""
        missing = [(run, follow) for run, follow, need in counts if self._expected <= follow < need]
        if not missing:
            return None
        since = self._missing_since or time.monotonic()
        if time.monotonic() - since < GONE_S or not self._is_settled(missing[0][0]):
            return since
        self._count(*missing[0])
        return None

    def _is_settled(self, run: str) -> bool:
        """Whether a majority of the sentinels names the server of this run, and none of them a failover."""
        pool = None if self._store.is_cluster else self._store.client.connection_pool
        if not isinstance(pool, SentinelPrimaryPool):
            return False
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

"""Reading the audit streams as they grow, each event by one worker and none left out: a consumer group per shard.

A group begins at the end of its stream when it is made, and goes on with the last day when it was away for longer, so
switching callbacks on, or on again, does not send months of history; from then on everything is read. What a worker
took and did not report as done is given to another. All workers read under one name, so a worker that is gone leaves
no name behind in the group.

Not here: trimming. The worker drops events after `[audit] retention` (24 hours at least); a reader that was stopped for
longer misses what was dropped meanwhile.
"""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis.exceptions import ResponseError

from ..domain.audit import Event
from ..domain.errors import StoreUnavailable
from .answering import answers
from .audit_entries import entry_of, events_of
from .schema import Keys
from .schema.fields import ConsumerGroup, StoreRun
from .scripts import Scripts
from .store import Store

GROUP = ConsumerGroup.CALLBACKS
READER = "worker"
STALE_MS = 15_000
"""Events that were taken and not done for so long are given out again. A batch takes a second at most."""

MOST_MS = 86_400_000
"""Events that are older are not read by a group that was away, by the store's clock."""


class AuditConsumer:
    """The audit streams of all shards, as the group `callbacks` sees them."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, *, stale_ms: int = STALE_MS) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys
        self._stale_ms = stale_ms

    def open(self, begin: str = "$") -> None:
        """Make the groups that do not exist yet, at `begin` (by default the streams' ends), on shards that answer.

        Those that exist leave out what is older than `MOST_MS`. Raises StoreUnavailable if no shard answers.
        """
        streams = [self._keys.audit(shard) for shard in range(self._keys.shards)]
        made = self._store.gather([("XGROUP CREATE", name, GROUP, begin, "MKSTREAM") for name in streams])
        there = [isinstance(reply, ResponseError) and "BUSYGROUP" in str(reply) for reply in made]
        answers([True if is_there else reply for is_there, reply in zip(there, made, strict=True)])
        old = [name for name, is_there in zip(streams, there, strict=True) if is_there]
        for name in old:
            with contextlib.suppress(StoreUnavailable):
                self._scripts.call("audit/skip_old", {"audit": name}, group=GROUP, most_ms=MOST_MS)

    def read_new(self, count: int) -> list[Event]:
        """Up to `count` new events of each shard that answers, without waiting for any.

        Raises StoreUnavailable if none does.
        """
        names = {self._keys.audit(shard): shard for shard in range(self._keys.shards)}
        read = ("XREADGROUP", "GROUP", GROUP, READER, "COUNT", count, "STREAMS")
        found: list[Event] = []
        for reply in self._read([(*read, name, ">") for name in names]):
            for name, messages in reply.items() if isinstance(reply, dict) else reply or []:
                found += _events(names[name], messages)
        return found

    def claim_stale(self, count: int) -> list[Event]:
        """Events that somebody took and did not report as done, of each shard that answers.

        Raises StoreUnavailable if none does.
        """
        streams = [self._keys.audit(shard) for shard in range(self._keys.shards)]
        claim = (GROUP, READER, self._stale_ms, "0-0", "COUNT", count)
        replies = self._read([("XAUTOCLAIM", name, *claim) for name in streams])
        return [event for shard, reply in enumerate(replies) if reply for event in _events(shard, reply[1])]

    def _read(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        replies = self._store.gather(commands)
        lost = [isinstance(reply, ResponseError) and "NOGROUP" in str(reply) for reply in replies]
        if any(lost):
            # The store was emptied under us: whatever is in it now has come since.
            self.open(begin="0")
        return answers([[] if gone else reply for gone, reply in zip(lost, replies, strict=True)])

    def acknowledge(self, events: Iterable[Event]) -> None:
        """These need not be given out again. Raises StoreUnavailable if no shard of theirs answers.

        Events that were recorded in one step are given out again together, if one of them is not among these. So are
        all of them if what was made of them is not on all replicas: a new primary would else know neither. In a Cluster
        it may be on another shard, and is not waited for.
        """
        mark = ("HSET", self._keys.run(0), StoreRun.MARK, "1")
        if not (self._store.is_cluster or self._scripts.are_on_replicas(mark, self._keys.run(0))):
            return
        done: dict[tuple[int, str], int] = {}
        by_shard: dict[int, list[str]] = {}
        for event in events:
            place = (event.shard, entry_of(event.position))
            done[place] = done.get(place, 0) + 1
            if done[place] > event.siblings:
                by_shard.setdefault(event.shard, []).append(place[1])
        if by_shard:
            acks = [("XACK", self._keys.audit(shard), GROUP, *entries) for shard, entries in by_shard.items()]
            answers(self._store.gather(acks))


def _events(shard: int, messages: Any) -> list[Event]:
    # RESP3 answers one list more deeply nested than RESP2.
    if messages and isinstance(messages[0], list) and isinstance(messages[0][0], tuple):
        messages = messages[0]
    found = cast("list[tuple[str, dict[str, str] | None]]", messages or [])
    return [event for entry, fields in found for event in events_of(shard, entry, fields)]

"""The outbox: deliveries to make, and which worker makes them.

One stream per shard, read by one consumer group. An entry is acknowledged and deleted in the same script that records
what became of it. A worker shows that it is alive by claiming its pending entries again; what has been idle for
`STALE_MS` is claimed by another. What must wait (a retry, a poll, an expiry) is a timer in the store (see `timers`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from ..domain.errors import StoreUnavailable
from ..domain.ids import Ids
from ..domain.outbox import Job
from .answering import STORE_ERRORS, answers
from .connect import LONGEST_BLOCK_S
from .dead_letters import DeadLetters
from .schema import Keys
from .schema.fields import ConsumerGroup
from .schema.fields import Outbox as Entry
from .scripts import Scripts
from .store import Store
from .wrong_keys import WrongKeys

GROUP = ConsumerGroup.WORKERS
STALE_MS = 6_000
"""Pending entries that were idle for so long are claimed by others. Longer than a worker's heartbeat."""

MOST_HANDED_BACK = 10_000
"""Entries of one shard that a worker gives to others at once. It never holds so many."""


class Outbox:
    """The outboxes of all shards, as one worker named `consumer` sees them."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids, consumer: str) -> None:
        self._store = store
        self._keys = keys
        self._ids = ids
        self._consumer = consumer
        self._dead_letters = DeadLetters(store, scripts, keys, ids)
        self._wrong_keys = WrongKeys(store, keys.outbox, "stream")

    def open(self) -> None:
        """Make the consumer groups that do not exist yet, on all shards that answer.

        Raises StoreUnavailable if none does. Whoever finds no group on a shard later opens it then.
        """
        outboxes = [self._keys.outbox(shard) for shard in range(self._keys.shards)]
        made = self._store.gather([("XGROUP CREATE", name, GROUP, "0", "MKSTREAM") for name in outboxes])
        answers([True if isinstance(reply, ResponseError) and "BUSYGROUP" in str(reply) else reply for reply in made])

    def shard_groups(self) -> list[list[int]]:
        """The shards that one blocking read may cover: all of them on a single server, one each in a Cluster."""
        shards = list(range(self._keys.shards))
        return [[shard] for shard in shards] if self._store.is_cluster else [shards]

    def read_new(self, shards: Sequence[int], count: int, block_s: float) -> list[Job]:
        """Wait up to `block_s` seconds for new entries of these shards. Raises StoreUnavailable."""
        return self._read(shards, count, ">", max(1, int(min(block_s, LONGEST_BLOCK_S) * 1000)))

    def read_pending(self, shards: Sequence[int], count: int) -> list[Job]:
        """The pending entries of this worker, whether it knows of them or not. Raises StoreUnavailable."""
        return self._read(shards, count, "0", None)

    def _read(self, shards: Sequence[int], count: int, after: str, block_ms: int | None) -> list[Job]:
        shards = self._wrong_keys.without(shards)
        if not shards:
            raise StoreUnavailable("None of these outboxes is a stream.")
        streams = [self._keys.outbox(shard) for shard in shards]
        block: list[str | int] = [] if block_ms is None else ["BLOCK", block_ms]
        command = ["XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count, *block, "STREAMS", *streams]
        try:
            reply = self._store.read_group([*command, *[after] * len(streams)])
        except ResponseError as error:
            if "NOGROUP" in str(error):  # the store was emptied meanwhile
                self.open()
                return []
            if self._wrong_keys.find(shards) and self._wrong_keys.without(shards):
                return []
            raise StoreUnavailable("The store refuses the read.") from error
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error
        return self._all_jobs(dict(zip(streams, shards, strict=True)), reply)

    def _all_jobs(self, shard_of: dict[str, int], reply: Any) -> list[Job]:
        streams = reply.items() if isinstance(reply, dict) else (reply or [])
        return [job for name, messages in streams for job in self._jobs(shard_of[name], _flat(messages))]

    def claim_stale(self, shards: Sequence[int], count: int) -> list[Job]:
        """Claim pending entries of workers that are gone, up to `count` of each shard that answers.

        Raises StoreUnavailable if none does.
        """
        claim = (GROUP, self._consumer, STALE_MS, "0-0", "COUNT", count)
        replies = self._store.gather([("XAUTOCLAIM", self._keys.outbox(shard), *claim) for shard in shards])
        lost = [isinstance(reply, ResponseError) and "NOGROUP" in str(reply) for reply in replies]
        if any(lost):
            self.open()
        claimed = answers([None if gone else reply for gone, reply in zip(lost, replies, strict=True)])
        found = zip(shards, claimed, strict=True)
        return [job for shard, reply in found if reply is not None for job in self._jobs(shard, reply[1])]

    def hand_back(self, shards: Sequence[int], kept: Sequence[Job]) -> None:
        """Let others claim at once what this worker has taken of these shards, but for `kept`.

        Raises StoreUnavailable.
        """
        taken = self.read_pending(shards, MOST_HANDED_BACK)
        self._claim([job for job in taken if job not in kept], "IDLE", STALE_MS)

    def keep_claimed(self, jobs: Sequence[Job]) -> None:
        """Show that the jobs are in flight still. Raises StoreUnavailable if no shard of theirs answers."""
        self._claim(jobs)

    def _claim(self, jobs: Sequence[Job], *options: str | int) -> None:
        by_shard: dict[int, list[str]] = {}
        for job in jobs:
            by_shard.setdefault(job.shard, []).append(job.entry)
        commands: list[list[str | int]] = [
            ["XCLAIM", self._keys.outbox(shard), GROUP, self._consumer, 0, *entries, *options, "JUSTID"]
            for shard, entries in by_shard.items()
        ]
        answers(self._store.gather(commands))

    def _jobs(self, shard: int, messages: Any) -> list[Job]:
        jobs, unreadable = [], []
        for entry, fields in messages:
            kept = fields or {}
            named = self._ids.read_delivery(kept.get(Entry.DELIVERY, ""))
            if named is None or self._keys.shard(named[0].number_hash) != shard:
                unreadable.append(entry)
            else:
                jobs.append(Job(shard, entry, *named, kept.get(Entry.SENDER, "")))
        self._dead_letters.set_aside(unreadable, partial(self._dead_letters.set_aside_entry, shard), alone=not jobs)
        return jobs

    def depth(self) -> int:
        """Deliveries waiting on all shards that answer. Raises StoreUnavailable if none does."""
        lengths = self._store.gather([("XLEN", self._keys.outbox(shard)) for shard in range(self._keys.shards)])
        return sum(length or 0 for length in answers(lengths))


def _flat(messages: Any) -> "list[Any]":
    # RESP3 answers one list more deeply nested than RESP2.
    if messages and isinstance(messages[0], list) and (not messages[0] or isinstance(messages[0][0], tuple)):
        messages = messages[0]
    return list(messages)

"""The audit streams as the exporter of the ledger reads them: portions, with what each stream says of itself."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from ..domain.audit import Event, EventType
from ..domain.continuity import BEGIN, Portion, Reached
from ..domain.errors import StoreUnavailable
from .answering import answering, answers
from .audit_entries import events_of
from .audit_log import AuditLog
from .erasure import keep_erased
from .schema import Keys
from .schema.fields import StoreRun
from .scripts import Scripts
from .store import Store
from .waiting_webhooks import WaitingWebhooks

ONCE_MS = 86_400_000
"""An event that is recorded again within this time, after a crash, is not recorded twice."""

LEAST = 16
"""Entries of each shard at least."""


class AuditSource:
    """The streams of one store. They keep what is in the ledger for `kept_ms`, by the store's clock."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, audit: AuditLog, *, kept_ms: int) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys
        self._audit = audit
        self._webhooks = WaitingWebhooks(store, keys)
        self._kept_ms = kept_ms

    def read(self, after: Mapping[int, str], count: int) -> list[Portion]:
        """The next portions of the shards that answer. Raises StoreUnavailable if none does.

        Where replicas are expected, only what all of them have: a failover would forget the rest, and what is done
        again is recorded again.
        """
        shards = range(self._keys.shards)
        share = max(LEAST, count // self._keys.shards)
        about = [("XINFO STREAM", self._keys.audit(shard)) for shard in shards]
        # From the entry that was read last, so that it is seen to be still there.
        ranges = [
            ("XRANGE", self._keys.audit(shard), after.get(shard, BEGIN), "+", "COUNT", share + 1) for shard in shards
        ]
        found = answers([_if_there(reply) for reply in self._store.gather([*about, *ranges])])
        pairs = zip(shards, found[: len(shards)], found[len(shards) :], strict=True)
        portions = [
            _portion(shard, after.get(shard, BEGIN), said, entries)
            for shard, said, entries in pairs
            if said is not None and entries is not None
        ]
        known: dict[str, bool] = {}
        there = [portion for portion in portions if not portion.entries or self._is_on_replicas(portion.shard, known)]
        return self._webhooks.beside(there)

    def _is_on_replicas(self, shard: int, known: dict[str, bool]) -> bool:
        """Whether all that was read is. `known`: what was found for each server."""
        server = self._store.node_of(self._keys.run(shard))
        if server not in known:
            mark = ("HSET", self._keys.run(shard), StoreRun.MARK, "1")
            known[server] = self._scripts.are_on_replicas(mark, self._keys.run(shard))
        return known[server]

    def record(self, kind: EventType, detail: Mapping[str, Any], mark: str) -> None:
        """Record an event of no number, once for each mark. Raises StoreUnavailable."""
        # On one shard alone: what is recorded again elsewhere would be there twice.
        self._audit.record(kind, detail, ONCE_MS, mark=mark, shard=0)

    def trim(self, reached: Mapping[int, Reached]) -> None:
        """Drop what was kept long enough, up to what is in the ledger. Raises StoreUnavailable if no shard answers."""
        exported = {shard: one.entry for shard, one in reached.items()}
        self._audit.trim(self._kept_ms, exported)
        with contextlib.suppress(StoreUnavailable):
            # What a dead shard keeps can wait.
            self._webhooks.forget_until(exported)

    def forget_webhooks(self, events: Sequence[Event]) -> None:
        """Drop the webhooks of events that are in the ledger now. Raises StoreUnavailable."""
        self._webhooks.forget(events)

    def keep_erased(self, tombstones: Mapping[str, int]) -> None:
        """Remember these erasures. Raises StoreUnavailable."""
        keep_erased(self._store, self._keys, tombstones)

    def tell(self, reached: Mapping[int, Reached]) -> None:
        """Say how many entries of each shard are in the ledger, for `audit_backlog`. Raises StoreUnavailable."""
        counts = [text for shard, one in reached.items() if one.counted >= 0 for text in (str(shard), str(one.counted))]
        if counts:
            with answering():
                self._store.client.hset(self._keys.exported(), items=counts)


def _if_there(reply: Any) -> Any:
    """A stream that does not exist is empty."""
    return {} if isinstance(reply, ResponseError) and "no such key" in str(reply) else reply


def _portion(
    shard: int, after: str, said: Mapping[str, Any], entries: Sequence[tuple[str, Mapping[str, str]]]
) -> Portion:
    if not said:
        return Portion(shard)
    first = said["first-entry"]
    holds = bool(entries) and entries[0][0] == after
    return Portion(
        shard,
        int(said["entries-added"]),
        int(said["length"]),
        str(first[0]) if first else BEGIN,
        str(said["last-generated-id"]),
        holds,
        [(entry, events_of(shard, entry, fields)) for entry, fields in entries[1 if holds else 0 :]],
    )

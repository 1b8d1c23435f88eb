"""Webhooks of the carrier that wait, sealed, for the ledger: each with the entry of the audit stream that it caused.

They stand beside the streams, which keep their entries for days, so that the store stays small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..domain.audit import Event, EventField
from ..domain.continuity import Portion, place
from .answering import STORE_ERRORS, answering, answers, unavailable
from .audit_entries import entry_of
from .schema import Keys
from .store import Store


class WaitingWebhooks:
    """Those of one store. Methods raise StoreUnavailable."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._client: Any = store.client
        self._keys = keys

    def beside(self, portions: Sequence[Portion]) -> list[Portion]:
        """The portions with the webhooks that their events name. A shard that does not answer is left out."""
        named = {portion.shard: _entries(portion) for portion in portions}
        wanted = {shard: entries for shard, entries in named.items() if entries}
        if not wanted:
            return list(portions)
        commands = [("HMGET", self._keys.webhooks(shard), *entries) for shard, entries in wanted.items()]
        found = dict(zip(wanted, answers(self._store.gather(commands)), strict=True))
        return [
            _with(portion, dict(zip(wanted[portion.shard], found[portion.shard], strict=True)))
            if portion.shard in wanted
            else portion
            for portion in portions
            if portion.shard not in wanted or found[portion.shard] is not None
        ]

    def forget(self, events: Sequence[Event]) -> None:
        """Drop those of these events."""
        named: dict[int, list[str]] = {}
        for event in events:
            if event.fields.get(EventField.WEBHOOK):
                named.setdefault(event.shard, []).append(entry_of(event.position))
        for shard, entries in named.items():
            with answering():
                self._client.hdel(self._keys.webhooks(shard), *entries)

    def forget_until(self, exported: Mapping[int, str]) -> None:
        """Drop what a process that was killed has left: all up to these entries, which are in the ledger.

        Raises StoreUnavailable if a shard does not answer, when the others have been gone through.
        """
        shards = list(exported)
        replies = self._store.gather([("HKEYS", self._keys.webhooks(shard)) for shard in shards])
        for shard, kept in zip(shards, replies, strict=True):
            names = [] if isinstance(kept, STORE_ERRORS) else kept
            if old := [one for one in names if place(one) <= place(exported[shard])]:
                with answering():
                    self._client.hdel(self._keys.webhooks(shard), *old)
        for failed in replies:
            if isinstance(failed, STORE_ERRORS):
                raise unavailable(failed) from failed


def _entries(portion: Portion) -> list[str]:
    return [entry for entry, events in portion.entries if events and events[0].fields.get(EventField.WEBHOOK)]


def _with(portion: Portion, sealed: Mapping[str, str | None]) -> Portion:
    entries = [(entry, _sealed(events, sealed.get(entry))) for entry, events in portion.entries]
    return replace(portion, entries=entries)


def _sealed(events: Sequence[Event], sealed: str | None) -> Sequence[Event]:
    if sealed is None:
        return events
    first = replace(events[0], fields={**events[0].fields, EventField.SEALED_WEBHOOK: sealed})
    return [first, *events[1:]]

"""Reading the audit streams as they grow, each event by one worker and none left out: a consumer group per shard.

A group begins at the end of its stream when it is made, so switching callbacks on does not send months of history;
from then on everything is read. What a worker took and did not report as done is handed out again to another. All
workers read under one name, so a worker that is gone leaves no name behind in the group.

Not here: trimming. The worker drops events after `audit_retention` (24 hours at least); a reader that was stopped for
longer misses what was dropped meanwhile.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from redis.exceptions import ResponseError

from ..domain.audit import Event, Position
from ..domain.errors import StoreUnavailable
from .client import STORE_ERRORS, Store
from .keys import Keys

GROUP = "callbacks"
READER = "worker"
STALE_MS = 15_000
"""Events that were taken and not done for so long are handed out again. A batch takes a second at most."""


class Feed:
    """The audit streams of all shards, as the group `callbacks` sees them."""

    def __init__(self, store: Store, keys: Keys, *, stale_ms: int = STALE_MS) -> None:
        self._client = store.client
        self._keys = keys
        self._stale_ms = stale_ms
        shards = list(range(keys.shards))
        self._lanes = [[shard] for shard in shards] if store.is_cluster else [shards]

    def open(self, begin: str = "$") -> None:
        """Make the groups that do not exist yet, at the streams' ends unless told otherwise.

        Raises StoreUnavailable.
        """
        for shard in range(self._keys.shards):
            try:
                self._client.xgroup_create(self._keys.audit(shard), GROUP, id=begin, mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise StoreUnavailable("The store refuses to make a consumer group.") from error
            except STORE_ERRORS as error:
                raise StoreUnavailable("The store does not answer.") from error

    def take(self, count: int) -> list[Event]:
        """Up to `count` new events of each shard, without waiting for any. Raises StoreUnavailable."""
        return [event for lane in self._lanes for event in self._take(lane, count)]

    def _take(self, lane: Sequence[int], count: int) -> Iterator[Event]:
        streams: dict[Any, Any] = {self._keys.audit(shard): ">" for shard in lane}
        reply = self._read(lambda: self._client.xreadgroup(GROUP, READER, streams, count=count))
        shards = {self._keys.audit(shard): shard for shard in lane}
        for name, messages in reply.items() if isinstance(reply, dict) else reply or []:
            yield from _events(shards[name], messages)

    def take_over(self, count: int) -> list[Event]:
        """Events that somebody took and did not report as done. Raises StoreUnavailable."""
        found: list[Event] = []
        for shard in range(self._keys.shards):
            reply = self._read(
                lambda shard=shard: self._client.xautoclaim(
                    self._keys.audit(shard), GROUP, READER, min_idle_time=self._stale_ms, count=count
                )
            )
            if reply:
                found += _events(shard, reply[1])
        return found

    def _read(self, command: Any) -> Any:
        try:
            return command()
        except ResponseError as error:
            if "NOGROUP" in str(error):
                # The store was emptied under us: whatever is in it now has come since.
                self.open(begin="0")
                return None
            raise StoreUnavailable("The store refuses the read.") from error
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error

    def done(self, events: Iterable[Event]) -> None:
        """These need not be handed out again. Raises StoreUnavailable."""
        by_shard: dict[int, list[str]] = {}
        for event in events:
            by_shard.setdefault(event.shard, []).append(str(event.position))
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for shard, entries in by_shard.items():
                    pipe.xack(self._keys.audit(shard), GROUP, *entries)
                pipe.execute()
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error


def _events(shard: int, messages: Any) -> list[Event]:
    # RESP3 answers one list more deeply nested than RESP2.
    if messages and isinstance(messages[0], list) and isinstance(messages[0][0], tuple):
        messages = messages[0]
    found = cast("list[tuple[str, dict[str, str] | None]]", messages or [])
    return [Event(shard, Position.read(entry), (fields or {}).get("type", ""), fields or {}) for entry, fields in found]

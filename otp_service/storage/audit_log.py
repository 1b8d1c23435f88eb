"""The audit streams, one for each shard: reading them as one list in order of time, and trimming them.

The scripts that change state append their events themselves. Only events of no verification are appended here.
"""

import contextlib
import heapq
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..domain.audit import Event, EventPage, EventType, Position
from ..domain.continuity import BEGIN
from ..domain.errors import StoreUnavailable
from ..domain.policy import LimitMode
from .answering import answering
from .audit_entries import entry_of, events_of
from .schema import Keys
from .scripts import Scripts
from .store import Store

PAGE_SCAN = 5_000
"""Events looked at for one page at most: a filter that matches little costs several requests, not one long one."""

EXCEEDED_GAP_MS = 1_000
"""Between two events of one limit that refuses nothing: callers must not fill the record."""

READ_S = 2.0
"""For one page at most: what was found until then is a page, and the cursor goes on behind it."""


@dataclass(slots=True)
class _ShardReader:
    shard: int
    position: Position
    events: list[Event] = field(default_factory=list)
    exhausted: bool = False
    unread: bool = False

    def answered(self, entries: Sequence[tuple[str, dict[str, str]]], count: int) -> None:
        """Its next entries, of which so many were asked for."""
        found = [event for entry, fields in entries for event in events_of(self.shard, entry, fields)]
        self.events = [event for event in found if event.position > self.position]
        self.exhausted = len(entries) < count
        if found:
            self.position = found[-1].position

    def refused(self) -> None:
        """It does not answer: what it still has is left for another page."""
        self.exhausted = self.unread = True


class AuditLog:
    """The audit streams of one store."""

    def __init__(
        self, store: Store, scripts: Scripts, keys: Keys, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def now_ms(self) -> int:
        """The store's clock in Unix milliseconds: events have its times. Raises StoreUnavailable."""
        return self._store.any_time_ms()

    @property
    def shards(self) -> int:
        """How many positions a cursor holds."""
        return self._keys.shards

    def shard_of(self, number_hash: str) -> int:
        """The shard of a number's events."""
        return self._keys.shard(number_hash)

    def last_entry(self, shard: int) -> str:
        """The id of the last entry of a shard's stream. Raises StoreUnavailable."""
        with answering():
            found: Any = self._client.xrevrange(self._keys.audit(shard), count=1)
        return str(found[0][0]) if found else BEGIN

    def record(
        self,
        kind: EventType,
        detail: Mapping[str, Any],
        throttle_ms: int = 0,
        *,
        app: str = "",
        mark: str = "",
        shard: int | None = None,
        room: int = 0,
        mask: str = "",
        number_hash: str = "",
    ) -> None:
        """Record an event; with a throttle at most one of its kind (or mark) in that time.

        Most events here belong to nobody: they go to the first shard that answers, or to `shard` alone. Where the
        answer of one is lost, it may have the event too. `number_hash`: of a number that it is about; it is recorded on
        that number's shard then, and erased with the person. `room`: so many blanks behind it. Raises StoreUnavailable.
        """
        text = json.dumps(detail) + " " * room
        lost: StoreUnavailable | None = None
        for place in self._places(number_hash, shard):
            keys = {"audit": self._keys.audit(place), "throttle": self._keys.throttle(place, mark or kind)}
            try:
                self._scripts.call(
                    "audit/append",
                    keys,
                    event_type=kind,
                    detail=text,
                    throttle_ms=throttle_ms,
                    app=app,
                    mask=mask,
                    number_hash=number_hash,
                )
            except StoreUnavailable as error:
                lost = error
            else:
                return
        if lost is not None:
            raise lost

    def _places(self, number_hash: str, shard: int | None) -> Sequence[int]:
        """The shards on which an event may be recorded."""
        if number_hash:
            return [self._keys.shard(number_hash)]
        if shard is not None:
            return [shard]
        return range(self._keys.shards) if self._store.is_cluster else [0]

    def record_exceeded(self, number_hash: str, mask: str, app: str, limit: str, wait_ms: int) -> None:
        """Record that a limit would have refused; one a second of each on a shard. Raises StoreUnavailable."""
        shard = self._keys.shard(number_hash)
        self._scripts.call(
            "audit/append",
            {"audit": self._keys.audit(shard), "throttle": self._keys.throttle(shard, f"{app}:{limit}")},
            event_type=EventType.LIMIT_EXCEEDED,
            detail=json.dumps({"limit": limit, "mode": LimitMode.MONITOR, "wait_ms": wait_ms}),
            throttle_ms=EXCEEDED_GAP_MS,
            app=app,
            mask=mask,
            number_hash=number_hash,
        )

    def read(
        self,
        positions: Sequence[Position],
        *,
        shards: Sequence[int],
        until_ms: int | None,
        limit: int,
        wanted: Mapping[str, frozenset[str]],
    ) -> EventPage:
        """Up to `limit` events after the positions, merged by time, of the shards that answer.

        The page names the others. `wanted` maps a field of the event (`EventField`) to the values that pass.
        """
        readers = {shard: _ShardReader(shard, positions[shard]) for shard in shards}
        after = list(positions)
        events: list[Event] = []
        scanned, until = 0, self._monotonic() + READ_S
        heap: list[tuple[Position, int]] = []
        for reader in readers.values():
            self._push(heap, reader, until_ms, limit)
        # At least one is looked at, so that every page brings its reader further.
        while heap and len(events) < limit and scanned < PAGE_SCAN and (not scanned or self._monotonic() < until):
            position, shard = heapq.heappop(heap)
            reader = readers[shard]
            event = reader.events.pop(0)
            after[shard] = position
            scanned += 1
            if all(event.fields.get(name, "") in values for name, values in wanted.items()):
                events.append(event)
            self._push(heap, reader, until_ms, limit)
        unread = frozenset(shard for shard, reader in readers.items() if reader.unread)
        return EventPage(events, after, at_end=not heap, unread=unread)

    def _push(self, heap: list[tuple[Position, int]], reader: _ShardReader, until_ms: int | None, limit: int) -> None:
        if not reader.events and not reader.exhausted:
            count = max(16, min(limit, 200))
            try:
                reader.answered(self._range(reader.shard, reader.position, until_ms, count), count)
            except StoreUnavailable:
                reader.refused()
        if reader.events:
            heapq.heappush(heap, (reader.events[0].position, reader.shard))

    def _range(self, shard: int, after: Position, until_ms: int | None, count: int) -> list[tuple[str, dict[str, str]]]:
        end = "+" if until_ms is None else str(until_ms)
        with answering():
            found: Any = self._client.xrange(self._keys.audit(shard), min=entry_of(after), max=end, count=count)
        return list(found)

    def trim(self, kept_ms: int, exported: Mapping[int, str]) -> None:
        """Drop events that are older than so many milliseconds by the store's clock, on every shard that answers.

        `exported`: shard to the id of the last entry that is in the ledger. What is later stays, and so does all of a
        shard without one. Raises StoreUnavailable if no shard answers.
        """
        streams = {self._keys.audit(shard): entry for shard, entry in exported.items()}
        clocks = self._store.times_ms(list(streams))
        living = [name for name, now_ms in zip(streams, clocks, strict=True) if now_ms is not None]
        if streams and not living:
            raise StoreUnavailable("The store does not answer.")
        for name in living:
            with contextlib.suppress(StoreUnavailable):
                self._scripts.call("audit/trim", {"audit": name}, kept_ms=kept_ms, exported=streams[name])

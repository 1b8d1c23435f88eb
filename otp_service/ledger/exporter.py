"""The exporter: brings the events of all streams into the ledger, in portions, each exactly once.

The positions stand in the ledger and move in the same transaction as the rows, so whatever is killed, nothing is
missing and nothing is there twice. Two exporters at once cannot hurt: the second finds that the positions have moved.
A stream is trimmed up to what is in the ledger, never further.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..domain.audit import Event, EventType, Position
from ..domain.continuity import Portion, Reached, Step, next_step
from . import digests, erasing, kept_webhooks, log_ends, writing
from .database import Database
from .records import RecordEncoder
from .writing import Gap, State

PORTION = 1_000
"""Entries of one transaction, about."""

EVERY_S = 1.0
"""Between two looks when nothing waits."""

SHARE = 0.1
"""Of its time the exporter of a process that also sends works for so much. Not while very much waits."""

MUCH = 250_000
"""With so many entries waiting the exporter works without a pause."""

TRIM_S = 600.0
TAKEN_S = 5.0
"""A pause after another exporter was faster: it works, and this one is not needed."""

_log = logging.getLogger("otp.ledger")


class Source(Protocol):
    """The streams of the store. Each method raises StoreUnavailable if no shard answers."""

    def read(self, after: Mapping[int, str], count: int) -> Sequence[Portion]:
        """The next portions of the shards that answer, with about `count` entries in all."""
        ...

    def record(self, kind: EventType, detail: Mapping[str, Any], mark: str) -> object:
        """Record an event, once for each `mark`."""
        ...

    def trim(self, reached: Mapping[int, Reached]) -> object:
        """Drop entries that were kept long enough and are in the ledger."""
        ...

    def forget_webhooks(self, events: Sequence[Event]) -> object:
        """Drop the webhooks that wait with these events: they are in the ledger."""
        ...

    def keep_erased(self, tombstones: Mapping[str, int]) -> object:
        """Remember these erasures, for a ledger that is restored."""
        ...

    def tell(self, reached: Mapping[int, Reached]) -> object:
        """Say how many entries of each shard are in the ledger."""
        ...


def _place(event: Event) -> tuple[Position, int]:
    return event.position, event.shard


class Exporter:
    """Brings events from the source into the database. For one thread."""

    def __init__(
        self,
        database: Database,
        source: Source,
        encoder: RecordEncoder,
        *,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        measure: Callable[[int, int], object] = lambda _waiting, _gaps: None,
        share: float = SHARE,
        webhooks_kept_ms: int | None = None,
    ) -> None:
        """`share`: for how much of its time it works at most.

        `webhooks_kept_ms`: how long the carrier's webhooks are kept, None for ever.

        `measure` is told how many entries wait, and how many gaps nobody has accepted.
        """
        self._database = database
        self._source = source
        self._encoder = encoder
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._measure = measure
        self._share = share
        self._webhooks_kept_ms = webhooks_kept_ms
        self._state: State | None = None
        self._told: Mapping[int, Reached] = {}
        self._trim_at = monotonic() + TRIM_S
        self.waiting = 0

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def reached(self, shard: int) -> str:
        """The last entry of a shard's stream that is in the ledger, as far as this exporter knows."""
        known = self._state.reached.get(shard) if self._state else None
        return (known or Reached()).entry

    def run(self, stop: threading.Event) -> None:
        """Export until `stop`. Raises LedgerUnavailable and StoreUnavailable; it may be called again."""
        while not stop.is_set():
            began = self._monotonic()
            taken = self.once()
            stop.wait(self._pause(taken, self._monotonic() - began))

    def _pause(self, taken: int | None, spent_s: float) -> float:
        if taken is None:
            return TAKEN_S
        if self.waiting >= MUCH:
            return 0.0
        busy = spent_s * (1 / self._share - 1)
        return busy if self.waiting else max(EVERY_S - spent_s, busy)

    def once(self) -> int | None:
        """Export one portion of each shard: how many events; None if another exporter was faster."""
        before = self._state or writing.state(self._database)
        self._state = None
        steps = self._steps(before)
        # Of several shards in order of time, of each in its own order.
        events = sorted((event for step in steps.values() for event in step.events), key=_place)
        reached = {shard: step.reached for shard, step in steps.items() if step.reached != before.reached.get(shard)}
        gaps = [gap for step in steps.values() if (gap := self._gap(step))]
        after = before
        if events or reached or gaps:
            appended = writing.append(self._database, self._encoder, before, events, reached, gaps=gaps)
            if appended is None:
                return None
            after = appended
            # Only now: with positions that had moved, what another exporter had trimmed looked lost.
            for gap in gaps:
                _log.error("the store lost or repeated events", extra={"reason": gap.detail["reason"]})
        self._source.forget_webhooks(events)
        self._after(after, steps)
        self._state = after
        return len(events)

    def _steps(self, before: State) -> dict[int, Step]:
        after = {shard: one.entry for shard, one in before.reached.items()}
        portions = self._source.read(after, PORTION)
        return {portion.shard: next_step(before.reached.get(portion.shard), portion) for portion in portions}

    def _gap(self, step: Step) -> Gap | None:
        if step.gap is None:
            return None
        return Gap(writing.gap_id(step.gap), self._now_ms(), step.gap)

    def _after(self, state: State, steps: Mapping[int, Step]) -> None:
        """What follows from what is in the ledger now; each of it may be repeated."""
        self.waiting = sum(step.waiting for step in steps.values())
        gaps = writing.unrecorded(self._database)
        if gaps:
            # A store that lost events has also forgotten who was erased, and may be asked for it.
            self._source.keep_erased(erasing.tombstones(self._database))
        for gap in gaps:
            self._source.record(EventType.LEDGER_GAP, gap.detail, gap.id)
            writing.mark_recorded(self._database, gap)
        for end in log_ends.unrecorded(self._database):
            # The command that ended the log had no time for it, or the store took no event then.
            self._source.record(EventType.LEDGER_ACCEPTED, end.detail, end.following)
            log_ends.mark_recorded(self._database, end.following)
        self._measure(self.waiting, len(writing.open_gaps(self._database)))
        moved = {shard: one for shard, one in state.reached.items() if self._told.get(shard) != one}
        if moved:
            self._source.tell(moved)
            self._told = state.reached
        if self._monotonic() >= self._trim_at:
            self._trim_at = self._monotonic() + TRIM_S
            self._source.trim(state.reached)
            self._record_digests()
            self._drop_webhooks()

    def _drop_webhooks(self) -> None:
        before_ms = kept_webhooks.drop_webhooks(self._database, self._webhooks_kept_ms, self._now_ms())
        if before_ms is not None:
            self._source.record(EventType.WEBHOOKS_DROPPED, {"before_ms": before_ms}, f"webhooks:{before_ms}")

    def _record_digests(self) -> None:
        if self.waiting:
            return
        for digest in digests.due(self._database, self._now_ms()):
            self._source.record(EventType.LEDGER_DIGEST, digest, f"digest:{digest['day']}")

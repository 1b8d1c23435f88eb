"""One page of the audit record out of two places: the ledger, and the streams for what is not in the ledger yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .audit import Event, EventPage, Position
from .continuity import Reached, place

EVENTS_PER_ENTRY = 8
"""How many places an entry of a stream has for its events: more than any script writes at once."""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Events of the ledger in order of time, and how far each shard's stream is in it."""

    events: Sequence[Event]
    reached: Mapping[int, Reached]


def behind(positions: Sequence[Position], reached: Mapping[int, Reached]) -> list[Position]:
    """Where reading of the streams begins: behind the positions, and behind what is in the ledger."""
    return [
        max(position, _end_of(reached[shard])) if shard in reached else position
        for shard, position in enumerate(positions)
    ]


def not_in_ledger(shards: Sequence[int], reached: Mapping[int, Reached], until_ms: int | None) -> list[int]:
    """The shards whose streams may have something until then that is not in the ledger yet."""
    return [
        shard for shard in shards if until_ms is None or shard not in reached or _end_of(reached[shard]).ms <= until_ms
    ]


def _end_of(reached: Reached) -> Position:
    """The place of the last event of the last entry that is in the ledger."""
    ms, counter = place(reached.entry)
    return Position(ms, counter * EVENTS_PER_ENTRY + EVENTS_PER_ENTRY - 1)


def merged(
    before: Sequence[Position], shards: Sequence[int], ledger: LedgerPage, streams: EventPage, limit: int
) -> EventPage:
    """The first `limit` events of both, in order of time.

    `ledger` has as many events as there are, or `limit`; `streams` may have ended early.
    """
    found = sorted([*ledger.events, *streams.events], key=lambda event: (event.position, event.shard))
    if not streams.at_end and len(streams.events) < limit:
        # What comes later in the ledger has to wait for what the streams have not shown yet.
        bound = max(streams.positions[shard] for shard in shards)
        found = [event for event in found if event.position <= bound]
    shown = found[:limit]
    all_shown = len(shown) == len(ledger.events) + len(streams.events) and len(ledger.events) < limit
    after = list(streams.positions) if all_shown else list(before)
    for event in shown:
        after[event.shard] = max(after[event.shard], event.position)
    return EventPage(shown, after, at_end=streams.at_end and all_shown, unread=streams.unread)

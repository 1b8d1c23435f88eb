"""The events of the record in the order in which the budgets of an app met them.

A start is on record on its number's shard, a moment after the budgets have judged it. So the events of starts that came
together stand in another order than the verdicts: those are in the order of their turns. What else is in their
millisecond comes first: the budgets have seen it as soon as a start's `Turns` say so (`replay_waiting`).
"""

import heapq
from collections.abc import Iterable, Iterator

from ..domain.audit import Event, EventType
from ..domain.guard import record
from ..domain.guard.record import JudgedStart, Unread

LATE_MS = 60_000
"""A start is on record within this time after it was judged."""

READ = frozenset(
    {
        *(EventType.STARTED, EventType.RESENT, EventType.REFUSED, EventType.APPROVED, EventType.COMPLETED),
        *(EventType.GUARD_FACTOR, EventType.GUARD_RETURNED, EventType.LOCK_LIFTED),
        "",
    }
)
"""The events that change what the guard counts. One without a type may be any of them."""

Read = tuple[Event, str, JudgedStart | Unread | None]
"""An event, of whom it is about, and what it keeps of a start, or why that cannot be read."""


def in_order(events: Iterable[Event]) -> Iterator[Read]:
    """The events that change something."""
    waiting: list[tuple[int, int, int, Read]] = []
    for place, event in enumerate(events):
        if event.type not in READ:
            continue
        number = person_of(event)
        judged = _kept(event, number)
        when = event.at_ms, 0
        if isinstance(judged, JudgedStart) and judged.is_judged:
            when = judged.at_ms, judged.turns.starts
        heapq.heappush(waiting, (*when, place, (event, number, judged)))
        while waiting[0][0] < event.at_ms - LATE_MS:
            yield heapq.heappop(waiting)[3]
    while waiting:
        yield heapq.heappop(waiting)[3]


_STARTS = (EventType.STARTED, EventType.RESENT, EventType.REFUSED)


def _kept(event: Event, number: str) -> JudgedStart | Unread | None:
    if not event.type:
        return Unread.EVENT
    return record.of_event(event, number) if event.type in _STARTS else None


def person_of(event: Event) -> str:
    """Of whom it is about: the number's keyed hash; the verification, where the person was erased."""
    return event.number_hash or event.verification_id or event.seq

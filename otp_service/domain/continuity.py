"""Whether a stream goes on where it was last read. A stream counts the entries that it ever had, and keeps the last one
that was read: both must agree with what the ledger knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile

from .audit import Event, Position

BEGIN = "0-0"
"""Before the first entry of any stream."""

UNKNOWN = -1
"""How many entries there were is not known: it is counted anew at the stream's end."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a stream was read: the id of the last entry, and how many entries there were until then."""

    entry: str = BEGIN
    counted: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """The next entries of a stream, and what the stream said of itself just before they were read.

    `added`: entries that it ever had; `length`: those that it has; `first` and `last`: the first's id, and that of the
    last that was ever added. `holds`: whether the entry that was read last is still there. `entries`: each with its
    events, in order.
    """

    shard: int
    added: int = 0
    length: int = 0
    first: str = BEGIN
    last: str = BEGIN
    holds: bool = False
    entries: Sequence[tuple[str, Sequence[Event]]] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be taken from a portion. `gap`: what was lost or repeated, if something was."""

    reached: Reached
    events: Sequence[Event] = ()
    gap: Mapping[str, int | str] | None = None
    waiting: int = field(default=0, compare=False)
    """How many entries wait behind it."""


def next_step(before: Reached | None, portion: Portion) -> Step:
    """What a portion adds to what was read before (None: nothing yet)."""
    if before is None:
        # What was dropped before there was a ledger is in no record, or in those of a ledger that is gone.
        dropped = portion.added - portion.length
        gap = _gap("began_late", Reached(), portion, dropped=dropped) if dropped else None
        return _taken(Reached(BEGIN, dropped), portion, gap)
    if place(portion.last) < place(before.entry):
        gap = _gap("went_back", before, portion)
        return Step(Reached(portion.last, portion.added), gap=gap)
    if before.entry != BEGIN and not portion.holds:
        return _taken(Reached(before.entry, _counted_without(before, portion)), portion, _gap("lost", before, portion))
    return _taken(before, portion, None)


def _taken(before: Reached, portion: Portion, gap: Mapping[str, int | str] | None) -> Step:
    begin, end = place(before.entry), place(portion.last)
    # In order: only those at either side have to be looked at.
    entries = list(dropwhile(lambda one: place(one[0]) <= begin, portion.entries))
    last = entries[-1][0] if entries else before.entry
    later = sum(1 for _ in takewhile(lambda one: place(one[0]) > end, reversed(entries)))
    counted = UNKNOWN if before.counted == UNKNOWN else before.counted + len(entries)
    if place(last) >= end:
        # At the end of the stream as it was: now the two counts must be the same.
        if gap is None and counted not in (UNKNOWN, portion.added + later):
            gap = _gap("miscounted", before, portion, counted=counted)
        counted = portion.added + later
    waiting = 0 if counted == UNKNOWN else max(0, portion.added - counted)
    return Step(Reached(last, counted), [event for _, events in entries for event in events], gap, waiting)


def _counted_without(before: Reached, portion: Portion) -> int:
    """How many entries there were before those that come next, if the stream begins behind what was read."""
    begins_behind = portion.length and place(portion.first) > place(before.entry)
    return portion.added - portion.length if begins_behind else UNKNOWN


def _gap(reason: str, before: Reached, portion: Portion, **more: int) -> Mapping[str, int | str]:
    return {
        "reason": reason,
        "shard": portion.shard,
        "ledger_count": before.counted,
        "store_count": portion.added,
        "ledger_last": before.entry,
        "store_last": portion.last,
        **more,
    }


def place(entry: str) -> tuple[int, int]:
    """An entry's id as two numbers that can be compared."""
    position = Position.read(entry)
    return position.ms, position.counter

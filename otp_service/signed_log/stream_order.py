"""Whether the records of each shard have the places that the store gave them, and whether the positions are their end.

The store counts. The entries of one millisecond are 0, 1, 2 and so on, and the events of one entry stand side by side.
So the column `counter` follows from the record before it in its shard, and needs no signature. Where events were lost
or repeated, this is on record (`ledger.gap`), and there the count may go on at another place.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..domain.continuity import place
from ..domain.record_page import EVENTS_PER_ENTRY
from ..ledger.records import GREATEST

Place = tuple[int, int]
"""Milliseconds and counter: of an entry as the store has it, of an event as the ledger has it."""

NOTHING: Place = (0, 0)
"""Where a shard is of which nothing was read."""

LookBack = Callable[[int, int, int], int | None]
"""The counter of the record before the one of this number, in this shard and millisecond; None if there is none."""


@dataclass(frozen=True, slots=True)
class KnownGap:
    """What a `ledger.gap` says, as far as it excuses anything."""

    shard: int
    reason: str
    ledger_last: Place
    store_last: Place

    @classmethod
    def read(cls, detail: Mapping[str, Any]) -> "KnownGap | None":
        """None for what does not say it."""
        try:
            places = place(detail["ledger_last"]), place(detail["store_last"])
            return cls(int(detail["shard"]), str(detail["reason"]), *places)
        except (KeyError, ValueError, TypeError, AttributeError):
            return None

    def excuses(self, before: Place | None, entry: Place) -> bool:
        """Whether the count may go on with this entry, after the one before it (None: that is not known)."""
        match self.reason:
            case "began_late":
                return before in (None, NOTHING)
            case "went_back":
                return before is None or before == self.ledger_last
            case "lost":
                return (before is None or before >= self.ledger_last) and entry <= self.store_last
        return entry <= self.store_last


@dataclass(slots=True)
class _Shard:
    last: Place | None = None
    entry: Place | None = None
    entries: int = 0
    gaps: list[KnownGap] = field(default_factory=list)


class StreamOrder:
    """Judges records in the order of their numbers. `look_back` is asked once for each shard.

    `from_first`: the first one judged is the ledger's first.
    """

    def __init__(self, gaps: Iterable[KnownGap], look_back: LookBack, *, from_first: bool = True) -> None:
        self._look_back = look_back
        self._begins = NOTHING if from_first else None
        self._shards: dict[int, _Shard] = {}
        for gap in gaps:
            self._shards.setdefault(gap.shard, _Shard()).gaps.append(gap)

    def fault(self, seq: int, shard: int, at_ms: int, counter: Any) -> str | None:
        """What is wrong with the counter of this record, whose other columns are as they were signed."""
        if not isinstance(counter, int):
            return "the column counter is no number"
        known = self._shards.get(shard)
        if known is None:
            known = self._shards[shard] = _Shard()
        last, entry = known.last, (at_ms, counter // EVENTS_PER_ENTRY)
        if last is None and (earlier := self._look_back(seq, shard, at_ms)) is not None:
            last, known.entry = (at_ms, earlier), (at_ms, earlier // EVENTS_PER_ENTRY)
        is_new = last is None or at_ms != last[0]
        follows = counter == 0 if is_new or last is None else counter in _following(last[1])
        before = known.entry or self._begins
        excused = follows or GREATEST in (at_ms, counter) or any(gap.excuses(before, entry) for gap in known.gaps)
        if entry != known.entry:
            known.entries += 1
        known.last, known.entry = (at_ms, counter), entry
        return None if excused else "the column counter is not the next of its shard and millisecond"

    def position_fault(self, shard: int, entry: Any, counted: Any) -> str | None:
        """What is wrong with the position of a shard, after all of its records."""
        known = self._shards.get(shard, _Shard())
        ends = {"{}-{}".format(*(known.entry or NOTHING))}
        if known.gaps and known.gaps[-1].reason == "went_back":
            ends.add("{}-{}".format(*known.gaps[-1].store_last))
        if entry not in ends:
            return f"the position of shard {shard} is {entry}, and its last record is of {min(ends)}"
        if known.gaps or counted == known.entries:
            return None
        return f"the position of shard {shard} counts {counted} entries, and its records are of {known.entries}"

    def without_position(self, shards: Iterable[int]) -> int | None:
        """A shard that has records, and is not one of these; None if there is none."""
        having = {shard for shard, known in self._shards.items() if known.entry is not None}
        return min(having - set(shards), default=None)


def _following(counter: int) -> Place:
    """The next event of the same entry, and the first of the next entry."""
    return counter + 1, (counter // EVENTS_PER_ENTRY + 1) * EVENTS_PER_ENTRY

"""The counters of each shard follow from each other; only a gap that is on record lets them go on elsewhere."""

from typing import Any

import pytest

from otp_service.domain.record_page import EVENTS_PER_ENTRY as EACH
from otp_service.ledger.records import GREATEST
from otp_service.signed_log.stream_order import KnownGap, StreamOrder

Placed = tuple[int, Any]


def faults(*placed: Placed, gap: KnownGap | None = None, shard: int = 3) -> list[int]:
    """Which of these records (milliseconds, counter) of a shard are wrong, from 1."""
    order = StreamOrder([gap] if gap else [], lambda *_: None)
    return [seq for seq, (at_ms, counter) in enumerate(placed, 1) if order.fault(seq, shard, at_ms, counter)]


def gap(reason: str, ledger_last: str, store_last: str, shard: int = 3) -> KnownGap:
    """As the record has it."""
    detail = {"shard": shard, "reason": reason, "ledger_last": ledger_last, "store_last": store_last}
    found = KnownGap.read(detail)
    assert found is not None
    return found


GOOD = ((5, 0), (5, 1), (5, EACH), (5, 2 * EACH), (5, 2 * EACH + 1), (7, 0), (9, 0), (9, EACH))


def test_entries_are_counted_from_zero_in_each_millisecond() -> None:
    """The events of one entry stand side by side; a counter beyond all numbers is cut off there."""
    assert faults(*GOOD) == []
    assert faults((GREATEST, 0), (GREATEST, GREATEST), (GREATEST, GREATEST)) == []


@pytest.mark.parametrize("at", range(len(GOOD)))
@pytest.mark.parametrize("other", [-1, 1, 3, EACH * 40, "x", 2.5])
def test_any_other_counter_is_found(at: int, other: Any) -> None:
    """At its record, or at the one behind it; or the number of entries changes, which the position has."""
    counter = GOOD[at][1] + other if isinstance(other, int) else other
    placed = [*GOOD[:at], (GOOD[at][0], counter), *GOOD[at + 1 :]]
    assert faults(*placed), placed


def test_records_that_changed_places_are_found() -> None:
    """Within one millisecond nothing but the counter says which came first."""
    swapped = [(5, EACH), (5, 0), *GOOD[2:]]
    assert faults(*swapped) == [1, 2]


def test_each_shard_counts_by_itself() -> None:
    """And a range begins behind a record that is looked up."""
    order = StreamOrder([], lambda seq, shard, at_ms: 8 if (seq, shard, at_ms) == (10, 2, 5) else None)
    assert order.fault(10, 2, 5, 16) is None
    assert order.fault(11, 1, 5, 0) is None
    assert order.fault(12, 1, 5, 0) is not None


@pytest.mark.parametrize(
    ("known", "placed", "wrong"),
    [
        (gap("began_late", "0-0", "9-9"), [(5, 4 * EACH), (5, 5 * EACH)], []),
        (gap("began_late", "0-0", "9-9"), [(5, 4 * EACH), (5, 6 * EACH)], [2]),
        (gap("lost", "5-0", "7-3"), [(5, 0), (7, 3 * EACH), (7, 4 * EACH)], []),
        (gap("lost", "5-0", "7-3"), [(5, 0), (7, 4 * EACH)], [2]),
        (gap("lost", "5-1", "7-3"), [(5, 0), (5, 2 * EACH)], [2]),
        (gap("went_back", "5-4", "5-1"), [(4, 0), (5, 2 * EACH)], [2]),
        (gap("went_back", "4-0", "3-1"), [(4, 0), (3, 2 * EACH)], []),
        (gap("miscounted", "5-0", "7-3"), [(5, 2 * EACH), (7, 3 * EACH), (9, EACH)], [3]),
        (gap("lost", "5-0", "7-3", shard=4), [(5, 0), (7, 3 * EACH)], [2]),
        (gap("lost", "5-0", "7-3"), [(5, 3)], [1]),
        (gap("lost", "0-0", "7-3"), [(5, 3)], []),
        (gap("went_back", "5-0", "4-0"), [(5, 3)], [1]),
    ],
)
def test_a_gap_excuses_what_it_says(known: KnownGap, placed: list[Placed], wrong: list[int]) -> None:
    """In its shard, where it was."""
    assert faults(*placed, gap=known) == wrong


def test_a_range_may_begin_behind_a_gap() -> None:
    """What stood before it in the shard is not known then."""
    known = gap("lost", "5-0", "7-3")
    assert StreamOrder([known], lambda *_: None, from_first=False).fault(40, 3, 7, 3 * EACH) is None
    assert StreamOrder([known], lambda *_: None).fault(40, 3, 4, 3 * EACH) is not None


def test_what_says_no_gap_excuses_nothing() -> None:
    """Also where somebody wrote it."""
    for detail in ({}, {"shard": 1, "reason": "lost", "ledger_last": "x", "store_last": "1-1"}, {"shard": None}):
        assert KnownGap.read(detail) is None


def test_a_position_is_where_the_records_end() -> None:
    """By its entry and by the number of entries; after a gap the number is unknown, and a store that went back has
    a place of its own.
    """
    order = StreamOrder([gap("went_back", "5-1", "4-7", shard=1)], lambda *_: None)
    for seq, (shard, at_ms, counter) in enumerate([(0, 5, 0), (0, 5, 1), (0, 5, EACH), (1, 5, 0), (1, 5, EACH)], 1):
        assert order.fault(seq, shard, at_ms, counter) is None
    good = [(0, "5-1", 2), (1, "5-1", -1), (1, "4-7", 99), (2, "0-0", 0)]
    assert [order.position_fault(*one) for one in good] == [None] * 4
    for bad in ((0, "5-1", 3), (0, "5-0", 2), (0, None, 2), (1, "5-2", 2), (2, "0-1", 0), (2, "0-0", 1)):
        assert order.position_fault(*bad) is not None, bad
    assert (order.without_position([0, 1, 2]), order.without_position([0])) == (None, 1)

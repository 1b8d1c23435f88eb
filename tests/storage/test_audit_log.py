"""The audit record: pages in order of time, filters, bounds and trimming."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from otp_service.domain.audit import ZERO, Event, EventType, Position, pack_positions, read_positions
from otp_service.ledger import exporter
from otp_service.storage.audit_consumer import AuditConsumer
from otp_service.storage.audit_log import PAGE_SCAN, READ_S, AuditLog

from ..ledger.harness import ledger_over
from .harness import CODE, SHARDS, StoreHarness, fresh_number, word


def pages(harness: StoreHarness, limit: int, wanted: dict[str, frozenset[str]] | None = None) -> Iterator[list[Event]]:
    """All pages from the beginning, through cursors as a caller has them."""
    positions = [ZERO] * 16
    for _ in range(1_000):
        page = harness.audit.read(positions, shards=range(16), until_ms=None, limit=limit, wanted=wanted or {})
        yield page.events
        if page.at_end:
            return
        positions = read_positions(pack_positions(page.positions), 16)
    pytest.fail("the pages have no end")


@pytest.mark.parametrize("limit", [1, 3, 1_000])
def test_pages_show_every_event_once_in_order_of_time(harness: StoreHarness, limit: int) -> None:
    """However small the pages, over all shards nothing is missing, doubled or out of order."""
    for _ in range(12):
        harness.check(harness.start(fresh_number()).reference, CODE)
    events = [event for page in pages(harness, limit) for event in page]
    assert len(events) == 36
    assert len({event.seq for event in events}) == 36
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
    assert len({event.shard for event in events}) > 1


def test_a_filter_lets_through_what_it_names(harness: StoreHarness) -> None:
    """By verification, type, app and number's hash; pages without a match still lead on."""
    refs = [harness.start(fresh_number()).reference for _ in range(10)]
    one = refs[3]
    wanted = {"verification": frozenset({one.token}), "type": frozenset({"verification.started"})}
    found = [event for page in pages(harness, 1, wanted) for event in page]
    assert [(event.type, event.fields["verification"]) for event in found] == [("verification.started", one.token)]
    by_number = [event for page in pages(harness, 2, {"number_hash": frozenset({one.number_hash})}) for event in page]
    assert len(by_number) == 2
    assert not [event for page in pages(harness, 2, {"app": frozenset({"bank"})}) for event in page]


@pytest.mark.parametrize(
    "fields",
    [{"x": "y"}, {"about": "damaged", "events": "a\x1f\x1f"}, {"about": "\x1f\x1f\x1f\x1f", "events": "damaged"}],
)
def test_an_entry_that_cannot_be_read_hides_no_other(harness: StoreHarness, fields: dict[str, str]) -> None:
    """It is one event without a type, for pages and for the consumer, which can leave it behind."""
    ref = harness.start(fresh_number()).reference
    shard = harness.keys.shard(ref.number_hash)
    consumer = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=0)
    consumer.open("0")
    harness.raw.xadd(harness.keys.audit(shard), fields)
    harness.check(ref, CODE)
    kinds = ["verification.started", "delivery.queued", "", "verification.approved"]
    assert [event.type for page in pages(harness, 1) for event in page] == kinds
    taken = consumer.read_new(10)
    assert [event.type for event in taken] == kinds
    consumer.acknowledge(taken)
    assert consumer.claim_stale(10) == []


def test_events_of_one_step_are_acknowledged_together(harness: StoreHarness) -> None:
    """One of them alone leaves them all to be given out again."""
    harness.start(fresh_number())
    consumer = AuditConsumer(harness.store, harness.scripts, harness.keys, stale_ms=0)
    consumer.open("0")
    started, queued = consumer.read_new(10)
    consumer.acknowledge([queued])
    assert consumer.claim_stale(10) == [started, queued]
    consumer.acknowledge([started, queued])
    assert consumer.claim_stale(10) == []


def test_the_end_of_time_bounds_a_page(harness: StoreHarness) -> None:
    """`until` is included; what comes later is not shown."""
    harness.start(fresh_number())
    (first, *_), *_ = list(pages(harness, 100))
    page = harness.audit.read([ZERO] * 16, shards=range(16), until_ms=first.at_ms - 1, limit=10, wanted={})
    assert (page.events, page.at_end) == ([], True)
    page = harness.audit.read([ZERO] * 16, shards=range(16), until_ms=first.at_ms, limit=10, wanted={})
    assert first.seq in {event.seq for event in page.events}


def test_one_page_looks_at_so_much_and_no_more(server_harness: StoreHarness) -> None:
    """A filter that matches nothing costs several requests instead of one long one."""
    harness = server_harness
    with harness.raw.pipeline(transaction=False) as pipe:
        for _ in range(PAGE_SCAN + 10):
            pipe.xadd(harness.keys.audit(0), {"type": "x"})
        pipe.execute()
    audit = AuditLog(harness.store, harness.scripts, harness.keys, lambda: 0.0)
    page = audit.read([ZERO] * 16, shards=range(16), until_ms=None, limit=5, wanted={"type": frozenset({"y"})})
    assert (page.events, page.at_end) == ([], False)
    page = audit.read(page.positions, shards=range(16), until_ms=None, limit=5, wanted={"type": frozenset("y")})
    assert page.at_end


def test_a_page_has_a_deadline(harness: StoreHarness) -> None:
    """What was found until then is shown, at least one event was looked at, and the cursor goes on behind it."""
    for _ in range(3):
        harness.raw.xadd(harness.keys.audit(0), {"type": "x"})
    ticks = count(step=READ_S)
    audit = AuditLog(harness.store, harness.scripts, harness.keys, lambda: next(ticks))
    positions, found = [ZERO] * 16, 0
    for _ in range(3):
        page = audit.read(positions, shards=range(16), until_ms=None, limit=5, wanted={})
        positions, found = list(page.positions), found + len(page.events)
    assert (found, page.at_end) == (3, True)


def test_callers_without_a_key_cannot_fill_the_audit_log(harness: StoreHarness) -> None:
    """A throttled kind is noted once in its time; another kind, or no throttle, is noted each time."""
    for _ in range(20):
        harness.audit.record(EventType.WEBHOOK_REJECTED, {"reason": "signature"}, throttle_ms=60_000)
    harness.audit.record(EventType.KEY_CREATED, {"key_id": word()}, throttle_ms=60_000)
    harness.audit.record(EventType.KEY_CREATED, {"key_id": word()})
    kinds = [event["type"] for event in harness.audited_in(0)]
    assert sorted(kinds) == ["key.created", "key.created", "webhook.rejected"]


def test_old_events_are_trimmed(harness: StoreHarness) -> None:
    """Retention drops what is older, in whole blocks, and keeps what is younger or not in the ledger yet."""
    ref = harness.start(fresh_number()).reference
    its = harness.keys.shard(ref.number_hash)
    # Another than the number's: what is young and not in the ledger yet would keep the old ones of its shard.
    shard = (its + 1) % SHARDS
    stream = harness.keys.audit(shard)
    with harness.raw.pipeline(transaction=False) as pipe:
        for n in range(1, 500):
            pipe.xadd(stream, {"type": "old"}, id=f"{n}-0")
        pipe.execute()
    exported = harness.raw.xrevrange(stream, count=1)[0][0]
    harness.audit.trim(60_000, {shard: "200-0"})
    assert harness.raw.xlen(stream) >= 300
    harness.audit.trim(60_000, {shard: exported, its: "1-0"})
    assert 1 <= harness.raw.xlen(stream) < 200
    assert len(harness.audited(ref)) == 2


@pytest.mark.parametrize("days_ahead", [-100, 100])
def test_a_worker_with_a_wrong_clock_drops_nothing(
    harness: StoreHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days_ahead: int
) -> None:
    """The record's age is the store's affair: a worker a hundred days off trims what is old, and nothing else."""
    real_ns, day_ns = time.time_ns, 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + days_ahead * day_ns)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    young, day_ms = harness.now(), 86_400_000
    with harness.raw.pipeline(transaction=False) as pipe:
        for shard, age_days in ((1, 91), (2, 89)):
            for n in range(1, 500):
                pipe.xadd(harness.keys.audit(shard), {"type": "old"}, id=f"{young - age_days * day_ms}-{n}")
        pipe.execute()
    monkeypatch.setattr(exporter, "TRIM_S", 0.0)
    with ledger_over(harness, tmp_path / "ledger.db", kept_ms=90 * day_ms) as ledger:
        ledger.export_all()
    assert harness.raw.xlen(harness.keys.audit(1)) < 200
    assert harness.raw.xlen(harness.keys.audit(2)) == 499


@pytest.mark.parametrize("text", ["9" * 20 + "-0", "0-" + "9" * 20, "18446744073709551616-0", "0-18446744073709551616"])
def test_no_cursor_breaks_the_store(harness: StoreHarness, text: str) -> None:
    """A made-up position is refused before the store is asked: it is the caller's mistake, not an outage."""
    with pytest.raises(ValueError, match="position"):
        Position.read(text)
    for top in (Position(2**63 - 1, 2**63 - 1), Position(2**64 - 1, 2**64 - 1)):
        assert harness.audit.read([top] * 16, shards=range(16), until_ms=None, limit=5, wanted={}).events == []

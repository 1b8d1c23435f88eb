"""From the streams into the ledger: each event once and in order, whatever happens to exporter and store."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from otp_service.domain.audit import EventType
from otp_service.domain.canonical_json import canonical
from otp_service.domain.continuity import Portion
from otp_service.domain.errors import StoreUnavailable
from otp_service.ledger import log_ends, writing
from otp_service.ledger.kept_webhooks import AT_ONCE, drop_webhooks
from otp_service.ledger.log_ends import LogEnd
from otp_service.ledger.tables import CONFIGURATIONS, WEBHOOKS
from otp_service.storage.audit_source import AuditSource
from otp_service.storage.callers import caused_by, process, set_policy

from ..storage.harness import CODE, WRONG, StoreHarness, fresh_number
from .harness import LedgerHarness, leaf_hashes, read_all


def logins(harness: StoreHarness, count: int) -> None:
    """So many logins: three events each."""
    for _ in range(count):
        harness.check(harness.start(fresh_number()).reference, CODE)


def seen_in_streams(harness: StoreHarness) -> list[tuple[str, str]]:
    """Name and type of every event that is in a stream."""

    return [(event.seq, event.type) for event in read_all(harness.audit, 1_000)]


def in_ledger(ledger: LedgerHarness) -> list[tuple[str, str]]:
    """Name and type of every event that is in the ledger."""
    return sorted((f"{row.shard:02x}-{row.at_ms}-{row.counter}", row.type) for row in ledger.rows())


def test_every_event_is_one_record(ledger: LedgerHarness) -> None:
    """Numbered from 1 without gaps, canonical, hashed as a leaf; nothing in it says whose number it was."""
    logins(ledger.store, 5)
    assert ledger.export_all() == 15
    assert in_ledger(ledger) == sorted(seen_in_streams(ledger.store))
    assert [row.seq for row in ledger.rows()] == list(range(1, 16))
    assert leaf_hashes(ledger.database, 3, 4) == [row.leaf_hash for row in ledger.rows()[2:4]]
    for row in ledger.rows():
        leaf = json.loads(row.leaf)
        assert canonical(leaf) == row.leaf
        assert hashlib.sha256(b"\0" + row.leaf).digest() == row.leaf_hash
        assert leaf["person"].startswith("sha256:")
        assert row.number_hash.encode() not in row.leaf
        assert b"+1" not in row.leaf


def test_the_whole_record_reads_as_the_streams_did(ledger: LedgerHarness) -> None:
    """The same events in the same order, with masks and hashes, wherever the border between the two is."""
    logins(ledger.store, 4)
    ledger.export_all()
    logins(ledger.store, 4)

    in_streams = read_all(ledger.store.audit, 1_000)
    assert len(in_streams) == 24
    shown = ledger.events()
    assert [event.seq for event in shown] == [event.seq for event in in_streams]
    for one, other in zip(shown, in_streams, strict=True):
        assert (one.type, one.app, one.mask, one.number_hash) == (other.type, other.app, other.mask, other.number_hash)
        assert (one.verification_id, one.delivery_id, one.detail) == (
            other.verification_id,
            other.delivery_id,
            other.detail,
        )


class Dies(Exception):
    """The process is killed here."""


class Killed:
    """A source that dies in one of its calls."""

    def __init__(self, source: AuditSource, where: str) -> None:
        self._source = source
        self._where = where

    def __getattr__(self, name: str) -> Any:
        if name == self._where:
            raise Dies
        return getattr(self._source, name)


@pytest.mark.parametrize("where", ["read", "tell"])
def test_a_killed_exporter_leaves_nothing_out_and_nothing_twice(ledger: LedgerHarness, where: str) -> None:
    """Before the transaction or after it: the next one goes on where the ledger is."""
    logins(ledger.store, 3)
    with pytest.raises(Dies):
        ledger.another(Killed(ledger.source, where)).once()
    logins(ledger.store, 3)
    ledger.export_all()
    assert in_ledger(ledger) == sorted(seen_in_streams(ledger.store))


def test_two_exporters_at_once_cannot_hurt(ledger: LedgerHarness, caplog: pytest.LogCaptureFixture) -> None:
    """Who comes second appends nothing, and goes on from what is there."""
    first, second = ledger.exporter, ledger.another()
    logins(ledger.store, 3)
    before = writing.state(ledger.database)
    assert first.once() == 9
    logins(ledger.store, 2)
    stale = second._steps(before)
    events = [event for step in stale.values() for event in step.events]
    moved = {shard: step.reached for shard, step in stale.items()}
    assert writing.append(ledger.database, second._encoder, before, events, moved) is None
    assert second.once() == 6
    for stream in streams_of(ledger.store):
        ledger.store.raw.xtrim(stream, maxlen=1, approximate=False)
    caplog.clear()
    # What is gone was brought there by the other one: no loss.
    assert first.once() is None
    assert first.once() == 0
    assert (gaps(ledger), caplog.records) == ([], [])
    assert len(set(in_ledger(ledger))) == ledger.size() == 15


def gaps(ledger: LedgerHarness) -> list[Mapping[str, int | str]]:
    """What the ledger knows of gaps."""
    return [gap.detail for gap in writing.open_gaps(ledger.database)]


def streams_of(harness: StoreHarness) -> Sequence[str]:
    """The keys of the streams that exist."""
    return [key for shard in range(16) if harness.raw.exists(key := harness.keys.audit(shard))]


def test_a_store_that_was_emptied_is_noticed(ledger: LedgerHarness) -> None:
    """For each shard, once; it is on record, and what comes then is exported. Somebody can say that it is known."""
    logins(ledger.store, 6)
    ledger.export_all()
    emptied = streams_of(ledger.store)
    ledger.store.raw.delete(*emptied)
    logins(ledger.store, 1)
    ledger.export_all()
    ledger.export_all()
    assert len(gaps(ledger)) == len(emptied)
    recorded = [row for row in ledger.rows() if row.type == "ledger.gap"]
    assert len(recorded) == len(emptied)
    assert json.loads(recorded[0].leaf)["detail"]["reason"] in ("went_back", "lost")
    assert ledger.size() == 18 + 3 + len(emptied)
    assert writing.accept_gaps(ledger.database, 1) == len(emptied)
    assert gaps(ledger) == []


def test_a_store_that_was_restored_is_noticed(ledger: LedgerHarness) -> None:
    """Also where it has as many entries as before by then: the last one that was read is gone."""
    harness = ledger.store
    ref = harness.start(number := fresh_number()).reference
    stream = harness.keys.audit(harness.keys.shard(ref.number_hash))
    ledger.export_all()
    old = harness.raw.dump(stream)
    assert old is not None
    harness.check(ref, CODE)
    ledger.export_all()
    harness.raw.restore(stream, 0, old, replace=True)
    assert harness.ring.ids.number_hash(number) == ref.number_hash
    harness.optouts.record_unclear(ref.number_hash, "+1", None)
    ledger.export_all()
    assert [gap["reason"] for gap in gaps(ledger)] == ["lost"]
    assert [row.type for row in ledger.rows() if row.type != "ledger.gap"][-1] == "reply.unclear"


def test_entries_that_were_deleted_unread_are_counted(ledger: LedgerHarness) -> None:
    """Trimmed by hand in the middle: the stream says how many it had."""
    harness = ledger.store
    ref = harness.start(fresh_number()).reference
    stream = harness.keys.audit(harness.keys.shard(ref.number_hash))
    ledger.export_all()
    harness.optouts.record_unclear(ref.number_hash, "+1", None)
    entry = harness.raw.xrevrange(stream, count=1)[0][0]
    harness.check(ref, CODE)
    harness.raw.xdel(stream, entry)
    ledger.export_all()
    assert [(gap["reason"], gap["store_count"], gap["counted"]) for gap in gaps(ledger)] == [("miscounted", 3, 2)]
    ledger.export_all()
    assert len(gaps(ledger)) == 1


def test_what_was_dropped_before_there_was_a_ledger_is_on_record(ledger: LedgerHarness) -> None:
    """A ledger that was deleted and made anew begins with what is left, and the record says how much is not."""
    harness = ledger.store
    logins(harness, 6)
    dropped = [harness.raw.xtrim(stream, maxlen=1, approximate=False) for stream in streams_of(harness)]
    ledger.export_all()
    assert [(gap["reason"], gap["dropped"]) for gap in gaps(ledger)] == [("began_late", one) for one in dropped if one]
    ledger.export_all()
    assert len(gaps(ledger)) == sum(map(bool, dropped))


def test_a_dead_shard_holds_up_no_other(ledger: LedgerHarness) -> None:
    """Its portion is missing; without any the store is down."""

    class Half(Killed):
        def read(self, after: Mapping[int, str], count: int) -> list[Portion]:
            return [portion for portion in self._source.read(after, count) if portion.shard % 2]

    logins(ledger.store, 8)
    taken = ledger.another(Half(ledger.source, "")).once()
    assert taken is not None
    assert taken + ledger.export_all() == 24

    class Down(Killed):
        def read(self, after: Mapping[int, str], count: int) -> list[Portion]:
            raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        ledger.another(Down(ledger.source, "")).once()
    assert in_ledger(ledger) == sorted(seen_in_streams(ledger.store))


def test_the_events_of_a_verification_are_counted_without_gaps(ledger: LedgerHarness) -> None:
    """Whatever happens to it, and however many events one step has."""
    harness = ledger.store
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    for _ in range(5):
        harness.check(ref, WRONG)
    other = harness.start(fresh_number()).reference
    harness.check(other, CODE)
    ledger.export_all()
    counted: dict[str, list[int]] = {}
    for leaf in map(json.loads, ledger.leaves()):
        counted.setdefault(leaf["verification_id"], []).append(leaf["n"])
    assert counted[ref.verification_id] == list(range(1, 11))
    assert counted[other.verification_id] == [1, 2, 3]


def test_a_record_names_the_configuration_that_decided(ledger: LedgerHarness) -> None:
    """By its hash. Its content is kept once, apart from the record; one that nobody has loaded is named as it came."""
    content = {"apps": {"shop": {"max_checks": 5}}}
    policy = f"sha256:{hashlib.sha256(canonical(content)).hexdigest()}"
    set_policy(policy.partition(":")[2])
    try:
        for _ in range(2):
            ledger.store.audit.record(
                EventType.CONFIGURATION_LOADED, {"policy": policy, "configuration": content}, mark="x"
            )
        ledger.export_all()
        ledger.store.start(fresh_number())
        set_policy("ab" * 32)
        ledger.store.optouts.record_unclear("0" * 20, "+1", None)
    finally:
        set_policy("")
    ledger.export_all()
    leaves = [json.loads(leaf) for leaf in ledger.leaves()]
    policies = [(leaf["type"], leaf["policy"]) for leaf in leaves]
    assert {found for kind, found in policies if kind != "reply.unclear"} == {policy}
    assert ("reply.unclear", "sha256:" + "ab" * 8) in policies
    assert leaves[0]["detail"] == {"policy": policy}
    assert {leaf["process"] for leaf in leaves} == {process()}
    with ledger.database.reading() as connection:
        assert connection.execute(select(CONFIGURATIONS)).all() == [(policy, canonical(content).decode())]


def test_no_record_is_longer_than_a_tile_holds(ledger: LedgerHarness) -> None:
    """Its detail gives way; that it happened stays on record."""
    for length in (100, 70_000):
        ledger.store.audit.record(EventType.AUDIT_EXPORTED, {"why": "a" * length})
    ledger.export_all()
    details = [json.loads(leaf)["detail"] for leaf in ledger.leaves()]
    assert details == [{"why": "a" * 100}, {"too_long": True}]


def test_an_end_of_a_log_that_is_not_on_record_is_recorded(ledger: LedgerHarness) -> None:
    """Once, by any exporter: the command that ended the log was killed, or the store took no event then."""
    with ledger.database.writing() as connection:
        log_ends.add(connection, LogEnd("otp.example/audit/later", 1, {"ended_log": "otp.example/audit"}))
    for exporter in (ledger.another(), ledger.another(), ledger.exporter):
        exporter.once()
    ledger.export_all()
    told = [json.loads(leaf) for leaf in ledger.leaves()]
    assert [(one["type"], one["detail"]) for one in told] == [("ledger.accepted", {"ended_log": "otp.example/audit"})]
    assert log_ends.unrecorded(ledger.database) == []


def test_webhooks_go_after_their_time_and_the_record_says_so_first(ledger: LedgerHarness) -> None:
    """Whole days; what is younger stays. Without a time they are kept for ever."""
    harness, day = ledger.store, 86_400_000
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    with caused_by("sha256:00", "k1:AA=="):
        harness.apply(ref, "delivered")
    ledger.export_all()
    database, now = ledger.database, harness.now()
    assert drop_webhooks(database, None, now + 900 * day) is None
    assert drop_webhooks(database, 400 * day, now) is None
    before_ms = drop_webhooks(database, 400 * day, now + 402 * day)
    assert before_ms is not None
    assert (before_ms % day, before_ms > now) == (0, True)
    assert kept(ledger) == 1
    harness.audit.record(EventType.WEBHOOKS_DROPPED, {"before_ms": before_ms})
    ledger.export_all()
    # Many days may have gone at once: all of them go, a portion in each transaction.
    many = [{"seq": seq, "at_ms": before_ms - 1, "sealed": ""} for seq in range(1_000, 1_001 + 2 * AT_ONCE)]
    with database.writing() as connection:
        connection.execute(WEBHOOKS.insert(), many)
    assert drop_webhooks(database, 400 * day, now + 402 * day) is None
    assert kept(ledger) == 0


def kept(ledger: LedgerHarness) -> int:
    """How many webhooks are in the ledger."""
    with ledger.database.reading() as connection:
        return len(connection.execute(WEBHOOKS.select()).all())

"""Keeping the ledger: its tables, copies of it, what readers ask of it, and what the doctor says."""

import re
import stat
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, text, update

from otp_service.bootstrap.signed_log import opening_of
from otp_service.diagnosis.ledger import check_ledger
from otp_service.domain.audit import ZERO
from otp_service.domain.errors import ConfigError
from otp_service.domain.guard.policy import Mode
from otp_service.domain.guarding import GuardPlace
from otp_service.domain.policy import Channel
from otp_service.domain.signed_webhook import SignedWebhook
from otp_service.ledger import exporter, migrations, writing
from otp_service.ledger.backup import back_up
from otp_service.ledger.database import LedgerUnavailable, find_database, open_database
from otp_service.ledger.erasing import erase
from otp_service.ledger.exporting import records
from otp_service.ledger.migrations import migrate, steps
from otp_service.ledger.pages import LedgerPages, places_query, shown_query
from otp_service.ledger.records import detail_of
from otp_service.ledger.tables import METADATA, PERSONS, RECORDS
from otp_service.signed_log.inspection import verify_ledger
from otp_service.signed_log.own_keys import own_keys
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogSigner
from otp_service.signed_log.tables import METADATA as LOG_METADATA
from otp_service.storage.callers import caused_by
from otp_service.storage.record_views import usual_detail
from otp_service.storage.schema.encodings import AuditCaller, AuditEvent, AuditSubject
from otp_service.storage.schema.fields import AuditEntry

from ..storage.harness import CODE, SHARDS, fresh_number
from .harness import DAY_MS, LedgerHarness, leaf_hashes, ledger_over, read_all


def test_each_step_leads_to_the_next(tmp_path: Path) -> None:
    """From the first to the last, one by one or all at once: the same tables, which are those that the code knows."""
    one_by_one, at_once = (open_database(f"sqlite:///{tmp_path}/{name}.db") for name in ("a", "b"))
    for number, _, _ in steps():
        migrate(one_by_one, number)
    migrate(at_once)
    migrate(at_once)
    made = []
    for database in (one_by_one, at_once):
        with database.reading() as connection:
            made.append(connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY name")).all())
            for table in (*METADATA.tables.values(), *LOG_METADATA.tables.values()):
                columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
                assert columns == {column.name for column in table.columns}, table.name
        database.close()
    assert made[0] == made[1]


def test_a_long_step_tells_how_far_it_is(
    ledger: LedgerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And an older ledger with records has the same pages behind it."""
    old = open_database(f"sqlite:///{tmp_path}/old.db")
    migrate(old, 30)
    with ledger_over(ledger.store, tmp_path / "ledger.db") as made:
        ref = ledger.store.start(fresh_number()).reference
        made.export_all()
        rows = [dict(row._mapping) for row in made.rows()]
    with old.writing() as connection:
        connection.execute(RECORDS.insert(), rows)
    monkeypatch.setattr(migrations, "SLOW_S", 0.0)
    migrate(old)
    assert [line for line in caplog.messages if "being changed" in line]
    pages = LedgerPages(old, ledger.store.ring.open)
    wanted = {"number_hash": frozenset({ref.number_hash}), "type": frozenset({"verification.started"})}
    page = pages.read([ZERO] * SHARDS, shards=range(SHARDS), until_ms=None, limit=9, wanted=wanted)
    assert [event.type for event in page.events] == ["verification.started"]
    old.close()


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """Its tables may mean something else."""
    database = open_database(f"sqlite:///{tmp_path}/a.db")
    migrate(database)
    with database.writing() as connection:
        connection.execute(text("INSERT INTO migration (step, name, at_ms) VALUES (999, 'later', 0)"))
    with pytest.raises(LedgerUnavailable, match="newer version"):
        migrate(database)
    database.close()


def test_who_only_reads_waits_for_no_writer(tmp_path: Path) -> None:
    """Its file may be written anew for minutes: commands that find every step applied go on."""
    writer, reader = (open_database(f"sqlite:///{tmp_path}/a.db") for _ in range(2))
    migrate(writer)
    with writer.writing():
        migrate(reader)
        assert writing.state(reader).size == 0
    writer.close()
    reader.close()


def test_a_value_that_cannot_be_opened_hides_no_record(ledger: LedgerHarness) -> None:
    """Its key is gone from the keyring, or it was damaged: the record stands without it, on pages and in exports."""
    for _ in range(3):
        ledger.store.start(fresh_number())
    ledger.export_all()
    with ledger.database.reading() as connection:
        (first, second, _) = connection.execute(select(PERSONS.c.id, PERSONS.c.sealed).order_by(PERSONS.c.id)).all()
    unknown = {first.id: "9" * 8 + first.sealed[first.sealed.index(":") :], second.id: second.sealed[:-6] + "AAAA=="}
    for id_, sealed in unknown.items():
        with ledger.database.writing() as connection:
            connection.execute(update(PERSONS).where(PERSONS.c.id == id_).values(sealed=sealed))
    events = ledger.events()
    assert sorted(bool(event.mask) for event in events) == [False] * 4 + [True] * 2
    ((_, _, exported),) = list(records(ledger.database, ledger.store.ring.open))
    assert [bool(one.event.mask) for one in exported].count(False) == 4


def test_a_copy_is_the_ledger_of_one_moment(ledger: LedgerHarness, tmp_path: Path) -> None:
    """Private, whole, and never over another file."""
    harness = ledger.store
    harness.check(harness.start(fresh_number()).reference, CODE)
    ledger.export_all()
    copy = tmp_path / "copy.db"
    assert back_up(ledger.database, copy) == 3
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="File exists"):
        back_up(ledger.database, copy)
    found = find_database(f"sqlite:///{copy}")
    assert found is not None
    assert leaf_hashes(found, 1, 3) == leaf_hashes(ledger.database, 1, 3)
    found.close()
    # A copy that is put in place again goes on where it is: nothing is missing and nothing is there twice.
    ref = harness.start(fresh_number()).reference
    harness.send(ref)
    webhook = SignedWebhook(bytes(32), bytes(32), bytes(64), b"1700000000|{}")
    with caused_by(webhook.commitment, harness.ring.seal(webhook.packed())):
        assert harness.apply(ref, "delivered") == "moved"
    ledger.export_all()
    assert webhook.commitment.encode() in ledger.leaves()[-1]
    assert is_as_signed(ledger)
    with ledger_over(harness, copy) as restored:
        restored.export_all()
        assert restored.leaves()[:3] == ledger.leaves()[:3]
        # The webhook is no longer in the store, so the record of the copy says nothing of one.
        assert webhook.commitment.encode() not in restored.leaves()[-1]
        assert is_as_signed(restored)
        assert [(row.shard, row.at_ms, row.counter) for row in restored.rows()] == [
            (row.shard, row.at_ms, row.counter) for row in ledger.rows()
        ]
        assert writing.open_gaps(restored.database) == []


def is_as_signed(ledger: LedgerHarness) -> bool:
    """Sign it, and verify every record and what stands beside it."""
    ring, origin = ledger.store.ring, "otp.example/audit"
    signers = signers_of(lambda: ring)
    LogSigner(ledger.database, origin, signers, ledger.store.now).sign()
    with ledger.database.reading() as connection:
        keys = own_keys(connection, signers, origin)
    return verify_ledger(ledger.database, keys, opening_of(ring)).finding is None


def test_what_tells_of_a_person_stands_beside_the_record(ledger: LedgerHarness) -> None:
    """Keyed hashes of block, address and subject, too: readers see them, and an erasure takes them away."""
    harness, number = ledger.store, fresh_number()
    place = GuardPlace("US", "block-10", "block-1", Mode.ENFORCE, "address-1")
    guarded: dict[str, Any] = {"guard_place": place, "guard": "pass", "guard_taken": "address-1:1.0:na"}
    detail = f'{usual_detail("login", Channel.SMS)[:-1]},"sub":"subject-1"}}'
    ref = harness.start(number, detail=detail, **guarded).reference
    (before,) = (event.detail for event in ledger.events(type="verification.started"))
    ledger.export_all()
    (after,) = (event.detail for event in ledger.events(type="verification.started"))
    assert before == after
    assert after["sub"] == "subject-1"
    assert str(after["guard"]).startswith("US|block-10|block-1|address-1")
    for needle in (b"block-1", b"address-1", b"subject-1"):
        assert [leaf for leaf in ledger.leaves() if needle in leaf] == []
    erase(ledger.database, ref.number_hash, "t", 1)
    # What is left says that the code was for somebody, as promises are judged by it.
    assert detail_of(ledger.leaves()[0])["of_subject"] is True
    (erased,) = (event.detail for event in ledger.events(type="verification.started"))
    assert {"guard", "sub"} & set(erased) == set()


INDEX_OF = {
    "delivery": "records_verification",
    "verification": "records_verification",
    "message_id": "records_message",
    "number_hash+type": "records_number_type",
    "number_hash+app": "records_number_apps",
    "number_hash": "records_number_apps",
    "app+type": "records_app",
    "app": "records_app_at",
    "type": "records_type",
}
"""By which index pages are found, of the first of these that is asked for; `records_at` if none is."""

VALUES = {
    "app": "shop",
    "type": "check.failed",
    "verification": "a" * 32,
    "delivery": f"dlv_{'a' * 32}-1",
    "message_id": "m",
    "number_hash": "0" * 20,
}
FILTERS: list[dict[str, str]] = [
    *({name: VALUES[name] for name in names} for count in range(4) for names in combinations(VALUES, count)),
    {"type": "check.failed verification.started"},
    {"app": "shop", "type": "verification.started delivery.queued"},
    {"app": "shop", "type": "verification.started delivery.queued", "number_hash": "0" * 20},
]
"""Every filter, and all that can be asked for with two or three of them."""


def index_for(wanted: Mapping[str, str]) -> str:
    """The index by which a page is found."""
    return next((index for names, index in INDEX_OF.items() if wanted.keys() >= set(names.split("+"))), "records_at")


def test_every_filter_has_an_index(ledger: LedgerHarness) -> None:
    """No page reads the whole table, nor all records of an app or type where it is about one person or verification.

    None sorts more than its own rows.
    """
    for wanted in FILTERS:
        passing = {name: frozenset(value.split()) for name, value in wanted.items()}
        places = places_query([ZERO] * SHARDS, range(SHARDS), None, 10, passing, apps=lambda _: [None, "bank", "shop"])
        assert places is not None
        with ledger.database.reading() as connection:
            compiled = shown_query(places).compile(connection, compile_kwargs={"literal_binds": True})
            plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]
        # Those few that are shown of several walks are read by their numbers.
        on_the_table = [
            line for line in plan if "records" in line and "USING INTEGER PRIMARY KEY (rowid=?)" not in line
        ]
        assert on_the_table
        walk = re.compile(rf"SEARCH records USING (COVERING )?INDEX {index_for(wanted)} ")
        assert all(map(walk.match, on_the_table)), plan
        # What is sorted are the few rows that each walk through an index has found, never the rows of the table.
        for line, following in pairwise(plan):
            assert line not in on_the_table or "TEMP B-TREE" not in following, plan


def test_a_filter_shows_the_same_from_both_places(ledger: LedgerHarness) -> None:
    """Before and after they were brought to the ledger, in pages of any size."""
    harness = ledger.store
    refs = [harness.start(fresh_number()).reference for _ in range(3)]
    harness.send(refs[0], "msg-of-the-carrier")
    harness.check(refs[1], CODE)
    filters: list[dict[str, str]] = [
        {"verification": refs[0].token},
        {"delivery": refs[0].delivery_id(1)},
        {"number_hash": refs[1].number_hash},
        {"app": "shop", "type": "verification.started verification.approved"},
        {"app": "bank"},
        {"type": "delivery.sent"},
        {"app": "shop", "type": "verification.approved delivery.queued", "number_hash": refs[1].number_hash},
        {"app": "shop bank", "type": "delivery.sent", "delivery": refs[0].delivery_id(1)},
        {"app": "bank", "verification": refs[1].token},
        {"number_hash": refs[1].number_hash, "verification": refs[0].token},
    ]
    before = [[event.seq for event in read_all(harness.audit, 1_000, **wanted)] for wanted in filters]
    ledger.export_all()
    for limit in (1, 2, 1_000):
        after = [[event.seq for event in read_all(ledger.record, limit, **wanted)] for wanted in filters]
        assert after == before
    assert [event.type for event in ledger.events(message_id="msg-of-the-carrier")] == ["delivery.sent"]
    assert [len(found) for found in before] == [4, 3, 3, 4, 0, 1, 2, 1, 0, 0]


def test_an_export_of_a_time_looks_at_that_time_alone(ledger: LedgerHarness) -> None:
    """Every record of the time is in it, and it is done with the whole ledger."""
    for _ in range(3):
        ledger.store.start(fresh_number())
    ledger.export_all()
    rows = ledger.rows()
    for first, last in ((0, 0), (1, 4), (5, 5), (0, 5)):
        since_ms, until_ms = rows[first].at_ms, rows[last].at_ms
        portions = list(
            records(ledger.database, ledger.store.ring.open, after=first // 2, since_ms=since_ms, until_ms=until_ms)
        )
        found = [one.seq for _, _, portion in portions for one in portion]
        assert found == [row.seq for row in rows if since_ms <= row.at_ms <= until_ms and row.seq > first // 2]
        assert portions[-1][:2] == (6, 6)
    assert list(records(ledger.database, ledger.store.ring.open, since_ms=rows[-1].at_ms + 1)) == [(6, 6, [])]
    assert list(records(ledger.database, ledger.store.ring.open, after=6)) == []


def test_each_day_has_a_digest(ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by app and type, once, when the day is over and nothing waits any more; days without events, too."""
    monkeypatch.setattr(exporter, "TRIM_S", 0.0)
    harness = ledger.store
    begin = 1_790_000_000_000 - 1_790_000_000_000 % DAY_MS
    about = AuditSubject.pack("", "shop", "", "", "", AuditCaller.pack("", "", "", "", ""))
    for days_ago, kind in ((3, "a.a"), (3, "a.a"), (3, "a.b"), (1, "a.a"), (0, "a.a")):
        event = {AuditEntry.ABOUT: about, AuditEntry.EVENTS: AuditEvent.pack(kind, "", "")}
        harness.raw.xadd(harness.keys.audit(days_ago), event, id=f"{begin - days_ago * DAY_MS + len(kind)}-*")
    later = ledger.another(now_ms=lambda: begin + 3_600_000)
    for _ in range(3):
        later.once()
    digests = [detail_of(leaf) for leaf in ledger.leaves() if b'"ledger.digest"' in leaf]
    assert [digest["records"] for digest in digests] == [3, 0, 1]
    assert digests[0]["counts"] == {"shop": {"a.a": 2, "a.b": 1}}
    assert (digests[0]["first_seq"], digests[0]["last_seq"], digests[1]["first_seq"]) == (1, 3, None)


def results(ledger: LedgerHarness, waiting: int = 0, most: int = 10, find: Any = None) -> dict[str, tuple[bool, str]]:
    """What the doctor says."""
    found = check_ledger(find or (lambda: ledger.database), lambda: waiting, most)
    return {one.name: (one.ok, one.detail) for one in found}


def test_the_doctor_tells_what_is_wrong_with_the_ledger(ledger: LedgerHarness) -> None:
    """None, one that falls behind, one with a gap; each with what to do."""
    assert results(ledger) == {
        "ledger": (True, "0 records; 0 entries of the store wait (starts are refused from 10 on)")
    }
    assert "does a worker run" in results(ledger, waiting=5)["ledger"][1]
    assert not results(ledger, find=lambda: None)["ledger"][0]

    def refuses() -> None:
        raise LedgerUnavailable("it is locked")

    assert results(ledger, find=refuses) == {"ledger": (False, "it is locked")}
    harness = ledger.store
    ref = harness.start(fresh_number()).reference
    ledger.export_all()
    harness.raw.delete(harness.keys.audit(harness.keys.shard(ref.number_hash)))
    ledger.export_all()
    assert "accept-restore" in results(ledger)["ledger gaps"][1]
    writing.accept_gaps(ledger.database, harness.now())
    assert list(results(ledger)) == ["ledger"]

"""A person who was erased is nowhere any more, and the record is as it was."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import event

from otp_service import bootstrap
from otp_service.bootstrap import erasing
from otp_service.bootstrap.erasing import erase_person, replay_erasures
from otp_service.bootstrap.signed_log import opening_of
from otp_service.bootstrap.stores import open_stores
from otp_service.config import Settings
from otp_service.domain.errors import NotReady
from otp_service.domain.guarding import Places
from otp_service.domain.ids import Reference
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import Policy
from otp_service.domain.signed_webhook import SignedWebhook
from otp_service.keyring import create
from otp_service.ledger import database as database_module
from otp_service.ledger import erasing as ledger_erasing
from otp_service.ledger import reading
from otp_service.ledger.backup import back_up
from otp_service.ledger.database import LedgerUnavailable, open_database
from otp_service.ledger.tables import PERSONS, WEBHOOKS
from otp_service.signed_log.inspection import verify_ledger
from otp_service.signed_log.own_keys import own_keys
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogSigner
from otp_service.storage.audit_consumer import AuditConsumer
from otp_service.storage.callers import caused_by
from otp_service.storage.erasure import erased_in
from otp_service.storage.safe_list import KnownSafeList, SafeListTable
from otp_service.usecases.guard import SafeList
from otp_service.usecases.guard.edit_safe_list import EditSafeList
from tests.conftest import wait_until

from ..storage.harness import CODE, SHOP, StoreHarness, keyring
from .alone import exporting_alone
from .harness import LedgerHarness, leaf_hashes, ledger_over, read_all

PERSON = "+13125558899"
WITHIN_S = 120
ORIGIN = "otp.example/audit"


@pytest.fixture
def harness(own_redis_url: str) -> Iterator[StoreHarness]:
    """A store of its own, empty: its file is searched."""
    with redis.Redis.from_url(own_redis_url) as client:
        client.flushall()
    made = StoreHarness.open(own_redis_url)
    made.outbox.open()
    yield made
    made.close()


@pytest.fixture
def settings(own_redis_url: str, tmp_path: Path) -> Settings:
    """Of an installation with that store."""
    path = tmp_path / "keyring.json"
    path.write_bytes(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
    path.chmod(0o600)
    place: Any = {"redis_url": own_redis_url, "public_url": "http://otp.test", "issuer": "http://otp.test"}
    made = Settings(policy=Policy(), keyring_path=path, data_dir=tmp_path / "data", **place)
    bootstrap.accept_keyring(made)
    return made


def file_of_the_store(harness: StoreHarness) -> Path:
    """The directory in which the store keeps its data, after it was written anew."""
    client: redis.Redis = harness.raw
    wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], WITHIN_S, "the rewrite")
    return Path(str(client.config_get("dir")["dir"]))


def found_in(place: Path, needle: bytes) -> list[str]:
    """The files that hold these bytes."""
    return [str(path) for path in place.rglob("*") if needle in content_of(path)]


def content_of(path: Path) -> bytes:
    """What is in a file; nothing in a directory or socket, nor in what whoever writes there has just removed."""
    with suppress(FileNotFoundError):
        return path.read_bytes() if path.is_file() else b""
    return b""


def salts(ledger: LedgerHarness) -> list[bytes]:
    """Of all commitments, as they are while they can be opened."""
    with ledger.database.reading() as connection:
        sealed = connection.execute(PERSONS.select()).all()
    return [base64.b64decode(json.loads(ledger.store.ring.open(row.sealed))["salt"]) for row in sealed]


def report(harness: StoreHarness, ref: Reference, number: str) -> None:
    """The carrier reports that the message was delivered, and signs that."""
    webhook = SignedWebhook(number.encode().ljust(32), bytes(32), bytes(64), f"1700000000|{number}".encode())
    with caused_by(webhook.commitment, harness.ring.seal(webhook.packed())):
        assert harness.apply(ref, "delivered") == "moved"


def webhooks(ledger: LedgerHarness, number: str) -> list[bytes]:
    """What is left of the number's webhooks, as it stands in a file: sealed, and what is within."""
    with ledger.database.reading() as connection:
        sealed = [row.sealed for row in connection.execute(WEBHOOKS.select()).all()]
    own = [one for one in sealed if number.encode() in SignedWebhook.unpack(ledger.store.ring.open(one)).signed]
    return [needle for one in own for needle in (one.encode(), ledger.store.ring.open(one), number.encode().ljust(32))]


def live(harness: StoreHarness, number: str) -> str:
    """A person's day: a code that was delivered, a wrong one, a login, an unclear reply. The number's hash."""
    ref = harness.start(number).reference
    harness.send(ref)
    report(harness, ref, number)
    harness.check(ref, "000000")
    harness.check(ref, CODE)
    harness.start(number, purpose="pay")
    harness.optouts.record_unclear(ref.number_hash, "+1******8899", None)
    harness.raw.xadd(harness.keys.dead(harness.keys.shard(ref.number_hash)), {"entry": "1-0", "timer": ref.token})
    return ref.number_hash


def list_as_safe(harness: StoreHarness, number: str) -> None:
    """An operator has the guard leave the number alone."""
    table = SafeListTable(harness.store, harness.keys, KnownSafeList())
    names = SafeList(Places(harness.ring.ids.digest), harness.ring.ids.number_hash, table)
    assert EditSafeList(names=names, table=table, events=harness.audit).add(number, "Ticket 4711")


def test_nothing_is_left_of_a_person(harness: StoreHarness, settings: Settings, tmp_path: Path) -> None:
    """Number, mask, hash and salts: in no file of store or ledger. The leaves stay as they were, and so do others."""
    assert settings.data_dir is not None
    number_hash = live(harness, PERSON)
    other = live(harness, "+13125557766")
    list_as_safe(harness, PERSON)
    list_as_safe(harness, "CA")
    with ledger_over(harness, settings.data_dir / "ledger.db") as ledger:
        ledger.export_all()
        before = leaf_hashes(ledger.database, 1, ledger.size())
        needles = [PERSON[1:].encode(), b"+1******8899", number_hash.encode(), *salts(ledger)]
        kept = webhooks(ledger, PERSON)
        assert len(kept) == 3
        needles += kept
        back_up(ledger.database, tmp_path / "copy.db")
    harness.start(PERSON, purpose="sign-up")
    harness.check(harness.start(PERSON, purpose="move").reference, "000000")
    assert found_in(settings.data_dir, number_hash.encode())

    erased = erase_person(settings, PERSON, lambda *_: None)

    assert erased.records == 16
    assert erased.in_store > 10
    for needle in needles:
        assert found_in(settings.data_dir, needle) == []
        assert found_in(file_of_the_store(harness), needle) == []
    with ledger_over(harness, settings.data_dir / "ledger.db") as ledger:
        assert leaf_hashes(ledger.database, 1, len(before)) == before
        assert ledger.export_all() == 0
        told = [event.detail for event in ledger.events(type="person.erased")]
        assert sorted(told, key=str) == [{"records": 0}, {"records": 16}]
        verify(ledger, 16)
        assert not [row for row in ledger.rows() if row.number_hash == number_hash]
        assert len([row for row in ledger.rows() if row.number_hash == other]) == 10
        listed = [event.detail for event in ledger.events(type="guard.safe_listed")]
        assert {detail["entry"] for detail in listed} == {"number", "country:CA"}
        assert "+1******7766" in {event.mask for event in ledger.events(number_hash=other)}
        assert [event.mask for event in ledger.events(type="check.failed")].count(None) == 2
    assert set(harness.raw.hkeys(harness.keys.safe_list())) == {"country:CA"}
    shards = {harness.keys.shard(number_hash), harness.keys.shard(other)}
    assert sum(harness.raw.xlen(harness.keys.dead(shard)) for shard in shards) == 1
    replayed(harness, settings, tmp_path / "copy.db", number_hash)


def verify(ledger: LedgerHarness, erased: int) -> None:
    """The whole ledger, signed now: so many records lack their person, which is what is on record."""
    signers = signers_of(lambda: ledger.store.ring)
    LogSigner(ledger.database, ORIGIN, signers, ledger.store.now).sign()
    with ledger.database.reading() as connection:
        keys = own_keys(connection, signers, ORIGIN)
    report = verify_ledger(ledger.database, keys, opening_of(ledger.store.ring))
    assert (report.finding, report.erased, report.unopened) == (None, erased, 0)


def restore(settings: Settings, copy: Path, number_hash: str) -> None:
    """Put the copy in the ledger's place."""
    assert settings.data_dir is not None
    assert number_hash.encode() in copy.read_bytes()
    for path in settings.data_dir.glob("ledger.db*"):
        path.unlink()
    shutil.copy(copy, settings.data_dir / "ledger.db")


def replayed(harness: StoreHarness, settings: Settings, copy: Path, number_hash: str) -> None:
    """A ledger that is restored from a copy of before is erased again."""
    assert settings.data_dir is not None
    restore(settings, copy, number_hash)
    stores = open_stores(settings)
    assert replay_erasures(settings, stores, keyring().ids) == 1
    assert replay_erasures(settings, stores, keyring().ids) == 0
    stores.store.close()
    assert {"records": 11} in [one.detail for one in read_all(harness.audit, 7, type="person.erased")]
    assert found_in(settings.data_dir, number_hash.encode()) == []
    database = open_database(f"sqlite:///{settings.data_dir}/ledger.db")
    assert reading.size(database) == 22
    database.close()
    restore(settings, copy, number_hash)
    with exporting_alone(settings):
        wait_until(lambda: not found_in(settings.data_dir or copy, number_hash.encode()), WITHIN_S, "the erasure")


def test_a_store_that_forgot_is_told_who_was_erased(harness: StoreHarness, settings: Settings, tmp_path: Path) -> None:
    """The exporter tells it as soon as it has found the loss. A ledger that is restored then is erased again."""
    assert settings.data_dir is not None
    number_hash = live(harness, PERSON)
    with ledger_over(harness, settings.data_dir / "ledger.db") as ledger:
        ledger.export_all()
        back_up(ledger.database, tmp_path / "copy.db")
        erase_person(settings, PERSON, lambda *_: None)
        known = ledger_erasing.tombstones(ledger.database)
    harness.raw.flushall()
    harness.start("+13125557766")
    with ledger_over(harness, settings.data_dir / "ledger.db") as ledger:
        ledger.export_all()
    assert erased_in(harness.store, harness.keys) == known != {}
    restore(settings, tmp_path / "copy.db", number_hash)
    bootstrap.accept_keyring(settings)
    stores = open_stores(settings)
    assert replay_erasures(settings, stores, keyring().ids) == 1
    assert found_in(settings.data_dir, number_hash.encode()) == []
    harness.raw.delete(harness.keys.erased())
    assert replay_erasures(settings, stores, keyring().ids) == 0
    stores.store.close()
    assert erased_in(harness.store, harness.keys) == known


def test_what_happens_meanwhile_is_erased_too(harness: StoreHarness, settings: Settings) -> None:
    """An event of the person while the store is gone through."""
    number_hash = live(harness, PERSON)

    replies = [lambda: harness.optouts.record_unclear(number_hash, "+1******8899", None)]

    erased = erase_person(settings, PERSON, lambda *_: replies.pop()() if replies else None)

    assert (erased.records, erased.rewritten) == (11, True)
    assert list(harness.raw.scan_iter("*:webhooks")) == []
    assert settings.data_dir is not None
    assert found_in(settings.data_dir, number_hash.encode()) == []
    assert found_in(file_of_the_store(harness), number_hash.encode()) == []


def test_callbacks_that_were_switched_off_hold_nothing_up(
    harness: StoreHarness, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their group stays in the store, and nobody reads for it. Without a configuration nobody knows that."""
    monkeypatch.setattr(erasing, "WAIT_S", 0.1)
    AuditConsumer(harness.store, harness.scripts, harness.keys).open()
    number_hash = live(harness, PERSON)
    with pytest.raises(NotReady, match="callback worker"):
        erase_person(settings, PERSON, lambda *_: None)
    monkeypatch.setattr(erasing, "WAIT_S", 30.0)
    policy = Policy(apps={"shop": SHOP})
    assert erase_person(replace(settings, policy=policy), PERSON, lambda *_: None).records == 10
    assert found_in(file_of_the_store(harness), number_hash.encode()) == []


def test_a_reader_that_keeps_old_pages_is_told_of(ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one reads a moment of before, the file beside the ledger holds what was erased: that is no success."""
    monkeypatch.setattr(database_module, "BUSY_S", 0.1)
    monkeypatch.setattr(database_module, "EMPTY_S", 0.1)
    number_hash, _ = (live(ledger.store, number) for number in (PERSON, "+13125557766"))
    ledger.export_all()
    erases = open_database(str(ledger.database.engine.url).replace("+pysqlite", ""))
    with ledger.database.reading() as connection:
        connection.execute(PERSONS.select()).all()
        with pytest.raises(LedgerUnavailable, match="being read"):
            ledger_erasing.erase(erases, number_hash, "t", 1)
        with pytest.raises(LedgerUnavailable, match="being read"):
            ledger_erasing.replay(erases, {"u": 1}, lambda _year, number: "u")
        assert "u" not in ledger_erasing.tombstones(erases)
    assert ledger_erasing.erase(erases, number_hash, "t", 1) == 0
    erases.close()


def test_an_erasure_waits_for_readers(ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """And for an exporter that copies the same file back: for longer than one statement of SQLite waits."""
    monkeypatch.setattr(database_module, "BUSY_S", 0.1)
    number_hash = live(ledger.store, PERSON)
    ledger.export_all()
    erases = open_database(str(ledger.database.engine.url).replace("+pysqlite", ""))
    reads, tried = ExitStack(), list[str]()
    reads.enter_context(ledger.database.reading()).execute(PERSONS.select()).all()

    @event.listens_for(erases.engine, "after_cursor_execute")
    def end_reading(*of_statement: object) -> None:
        if "wal_checkpoint" in str(of_statement[2]):
            reads.close()
            tried.append(str(of_statement[2]))

    assert ledger_erasing.erase(erases, number_hash, "t", 1) > 0
    assert len(tried) > 1
    erases.close()


def test_no_more_is_erased_than_was_announced(ledger: LedgerHarness) -> None:
    """What an exporter brought in between is announced first: `audit verify` counts what is missing by that."""
    number_hash = live(ledger.store, PERSON)
    ledger.export_all()
    count = ledger_erasing.count_of(ledger.database, number_hash)
    with pytest.raises(ledger_erasing.MoreToErase):
        ledger_erasing.erase(ledger.database, number_hash, "t", 1, count - 1)
    assert ledger_erasing.count_of(ledger.database, number_hash) == count
    assert "t" not in ledger_erasing.tombstones(ledger.database)
    assert ledger_erasing.erase(ledger.database, number_hash, "t", 1, count) == count


def test_an_opt_out_is_not_forgotten_in_passing(harness: StoreHarness, settings: Settings) -> None:
    """Without it, messages would reach the person again: that has to be asked for."""
    number_hash = harness.ring.ids.number_hash("+13125556655")
    stop = OptOut("profile-a", True, harness.now(), "STOP", "keyword")
    harness.optouts.record(number_hash, "+1******6655", stop, None)
    with pytest.raises(NotReady, match="--optouts"):
        erase_person(settings, "+13125556655", lambda *_: None)
    erase_person(settings, "+13125556655", lambda *_: None, optouts=True)
    assert harness.optouts.of_number(number_hash) == []
    assert [key for key in harness.raw.scan_iter("*") if number_hash in key] == []

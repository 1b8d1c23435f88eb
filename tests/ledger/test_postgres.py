"""The ledger in PostgreSQL, on a real server: what is promised of SQLite holds there, too."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, text

from otp_service.bootstrap.signed_log import opening_of
from otp_service.domain.audit import ZERO
from otp_service.ledger import erasing, reading, writing
from otp_service.ledger.database import LedgerUnavailable, find_database, open_database
from otp_service.ledger.migrations import migrate
from otp_service.ledger.pages import places_query, shown_query
from otp_service.receivers.outgoing import Outgoing
from otp_service.signed_log.bringing import ToAddress
from otp_service.signed_log.checking import check_promises
from otp_service.signed_log.evidence import Gathering, Question, answering, gather
from otp_service.signed_log.new_log import begin_new_log
from otp_service.signed_log.outlets import Outlets
from otp_service.signed_log.own_log import OwnLog
from otp_service.signed_log.promises import Promise
from otp_service.signed_log.reading import LogReader
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogSigner
from otp_service.signed_log.state import log_state
from otp_service.signed_log.told import ended_logs
from otp_service.signed_log.unproven import UNPROVEN
from otp_service.transparency.bundles import verify_bundle
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosign

from ..conftest import needs_program
from ..signed_log.post_receiver import receiving
from ..storage.harness import CODE, SHARDS, StoreHarness, at_once, fresh_number
from ..transparency.signing import witness_signer
from .harness import LedgerHarness, leaf_hashes, read_all
from .postgres import postgres_server
from .tampering import fill, found_by, tampered
from .test_keeping import FILTERS


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server for this file."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def ledger(server_harness: StoreHarness, server: str) -> Iterator[LedgerHarness]:
    """A ledger in a new database of it."""
    admin = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS ledger WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE ledger"))
    admin.dispose()
    url = server.replace("/postgres?", "/ledger?")
    assert find_database(url) is None
    database = open_database(url)
    at_once([lambda: migrate(database), lambda: migrate(database)])
    yield LedgerHarness(server_harness, database)
    database.close()


def test_the_ledger_works_in_postgresql(ledger: LedgerHarness) -> None:
    """Exported once by two at once, read by every filter, with gaps noticed, erased and erased again."""
    harness = ledger.store
    refs = [harness.start(fresh_number()).reference for _ in range(6)]
    for ref in refs[:3]:
        harness.check(ref, CODE)
    before = [event.seq for event in read_all(harness.audit, 1_000)]
    others = [ledger.another() for _ in range(3)]
    for _ in range(3):
        at_once([other.once for other in others])
    ledger.export_all()
    assert [row.seq for row in ledger.rows()] == list(range(1, 16))
    assert [event.seq for event in ledger.events()] == before
    assert len(leaf_hashes(ledger.database, 1, 15)) == reading.size(ledger.database) == 15
    assert [event.type for event in ledger.events(verification=refs[0].token)][-1] == "verification.approved"
    assert len(ledger.events(app="shop", type="verification.started delivery.queued")) == 12
    assert erasing.tokens_of(ledger.database, refs[0].number_hash) == {refs[0].token}
    assert erasing.erase(ledger.database, refs[0].number_hash, "t", 1) == 3
    assert ledger.events(number_hash=refs[0].number_hash) == []
    assert erasing.replay(ledger.database, {"t": 1}, lambda _year, _number: "t") == 0
    assert (
        erasing.replay(ledger.database, {"u": 1}, lambda _year, number: {refs[1].number_hash: "u"}.get(number, "")) == 1
    )
    harness.raw.delete(harness.keys.audit(harness.keys.shard(refs[5].number_hash)))
    ledger.export_all()
    assert len(writing.open_gaps(ledger.database)) == 1
    assert writing.accept_gaps(ledger.database, 1) == 1


def test_a_page_is_of_one_moment(ledger: LedgerHarness) -> None:
    """What is appended between the two selects of a page is in the store's part of it, and there alone."""
    ledger.store.start(fresh_number())
    left = [lambda: ledger.another().once()]

    @event.listens_for(ledger.database.engine, "after_cursor_execute")
    def append(*of_statement: object) -> None:
        if "FROM positions" in str(of_statement[2]) and left:
            assert left.pop()() == 2

    shown = [one.seq for one in ledger.events()]
    assert left == []
    assert ledger.size() == 2
    assert len(shown) == len(set(shown)) == 2


def test_every_filter_has_an_index_in_postgresql(ledger: LedgerHarness) -> None:
    """With walks through the whole table forbidden, none is left; the planner decides by the table's size."""
    for wanted in FILTERS:
        passing = {name: frozenset(value.split()) for name, value in wanted.items()}
        places = places_query([ZERO] * SHARDS, range(SHARDS), None, 10, passing, apps=lambda _: [None, "bank", "shop"])
        assert places is not None
        with ledger.database.reading() as connection:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            compiled = shown_query(places).compile(connection, compile_kwargs={"literal_binds": True})
            plan = "\n".join(connection.execute(text(f"EXPLAIN {compiled}")).scalars())
        assert "Seq Scan on records" not in plan, (wanted, plan)


MANY = """
INSERT INTO records (seq, leaf, leaf_hash, shard, at_ms, counter, type, app, verification, message_id, number_hash)
SELECT n, '', '', n % 64, n / 3, n, (ARRAY['delivery.sent', 'check.failed', 'verification.started'])[n % 3 + 1],
  CASE WHEN n % 10 < 8 THEN 'shop' ELSE 'bank' END, 'v' || n / 6, 'm' || n,
  CASE WHEN n % 5 = 0 THEN 'busy' ELSE 'n' || n / 50 END
FROM generate_series(1, 60000) AS n
"""
"""Two apps, three types, and one number with a fifth of the records."""


def test_the_planner_takes_the_index_of_the_pair_in_its_order(ledger: LedgerHarness) -> None:
    """Of a busy number and what it has not, and of all that is asked for beside a verification: nothing is sorted but
    what several walks found, and no walk goes through an app or type."""
    with ledger.database.writing() as connection:
        connection.execute(text(MANY))
    with ledger.database.writing() as connection:
        connection.execute(text("ANALYZE records"))
    walks = {
        "number_hash": "records_number_apps",
        "number_hash+type": "records_number_type",
        "number_hash+app": "records_number_apps",
        "number_hash+type+app": "records_number_(type|apps)",
        "verification+type": "records_verification",
        "verification+number_hash": "records_verification",
        "type+app": "records_app",
    }
    values = {"number_hash": "busy", "type": "check.failed", "app": "shop", "verification": "v77"}
    for names, index in walks.items():
        wanted = {name: frozenset({values[name]}) for name in names.split("+")}
        plan = plan_of(ledger, wanted)
        (walk,) = re.findall(r"Scan .*on records", plan)
        assert re.match(rf"Scan using {index} on records", walk), (names, plan)
        assert "Sort" not in plan, (names, plan)
        # Looked at in the index: a filter behind it would read a row of the table for each entry.
        assert not names.startswith("number") or all(values[name] in index_condition(plan) for name in wanted), plan


def index_condition(plan: str) -> str:
    """What is compared within the index."""
    (found,) = re.findall(r"Index Cond: (.*)", plan)
    return str(found)


def plan_of(ledger: LedgerHarness, wanted: Mapping[str, frozenset[str]]) -> str:
    """How PostgreSQL reads the first page."""
    places = places_query([ZERO] * SHARDS, range(SHARDS), None, 100, wanted, apps=lambda _: ["shop"])
    assert places is not None
    with ledger.database.reading() as connection:
        compiled = shown_query(places).compile(connection, compile_kwargs={"literal_binds": True})
        return "\n".join(connection.execute(text(f"EXPLAIN {compiled}")).scalars())


def test_the_log_is_signed_in_postgresql(ledger: LedgerHarness) -> None:
    """By two at once, verified, packed, cosigned and checked as in SQLite."""
    harness = ledger.store
    ref = harness.start(fresh_number()).reference
    harness.check(ref, CODE)
    ledger.export_all()
    signers = signers_of(lambda: harness.ring)
    logs = [LogSigner(ledger.database, "otp.example/audit", signers, harness.now) for _ in range(2)]

    def first(log: LogSigner) -> None:
        # Two that begin the log at the same moment: one of them tries again.
        with suppress(LedgerUnavailable):
            log.sign()

    at_once([partial(first, log) for log in logs])
    harness.optouts.record_unclear(harness.hash_of(fresh_number()), "+1******0000", None)
    ledger.export_all()
    at_once([log.sign for log in logs])
    own = OwnLog(ledger.database, signers, "", opening_of(harness.ring))
    report = own.verify(None, [], lambda _done, _total: None)
    assert (report.finding, report.signed) == (None, ledger.size())
    assert own.verify(None, [], lambda _done, _total: None, (2, 3)).span == (2, 3)
    seqs = answering(ledger.database, Question(verification=ref.token))
    files = gather(ledger.database, seqs, None, Gathering(own.keys(), harness.ring.open, {}))
    assert verify_bundle(files, own.keys().keys[0]).disclosed == len(seqs) == 3
    note, checkpoint = read_checkpoint(own.checkpoint() or "")
    witness = witness_signer(1)
    cosigned = note.with_signature(cosign(checkpoint.text, witness, 1))
    assert LogReader(ledger.database).take_cosignature(str(witness.key), str(cosigned), 1)
    (followed,) = log_state(ledger.database).witnesses
    assert (followed.key, followed.size) == (str(witness.key), report.signed)
    assert [breach.promise for breach in check_promises(ledger.database, 0, None).breaches] == [Promise.SENT]


def test_every_change_of_one_row_is_named_in_postgresql(ledger: LedgerHarness, tmp_path: Path) -> None:
    """As in SQLite: the same list says what is not proven, and why."""
    needs_program("openssl")
    own = fill(ledger, tmp_path)
    assert found_by(own) is None
    assert {change.name for change, found in tampered(own) if found is None} == set(UNPROVEN)
    assert found_by(own) is None


def test_checkpoints_are_brought_from_postgresql(ledger: LedgerHarness, tmp_path: Path) -> None:
    """By one of two workers; and the log of a database that was rolled back ends."""
    ledger.store.start(fresh_number())
    ledger.export_all()
    signers = signers_of(lambda: ledger.store.ring)
    signer = LogSigner(ledger.database, "otp.example/audit", signers, ledger.store.now, tmp_path / "checkpoint")
    signer.sign_if_due()
    with receiving(lambda _: (204, b"")) as server:
        outlet = ToAddress(ledger.database, Outgoing(server.url, allow_private=True).post, 1_000)
        workers = [Outlets(ledger.database, [outlet], ledger.store.now) for _ in range(2)]

        def bring(outlets: Outlets) -> None:
            with suppress(LedgerUnavailable):  # two that begin at the same moment: one of them tries again
                assert list(outlets.bring_what_is_due()) == []

        at_once([partial(bring, one) for one in workers])
        assert len(server.seen) == 1
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE log_checkpoints SET size = -1"))
    begun = begin_new_log(ledger.database, signers, tmp_path / "checkpoint", "otp.example/audit", 1)
    assert (begun.ended, log_state(ledger.database).origin) == ("otp.example/audit", begun.origin)
    with ledger.database.reading() as connection:
        assert ended_logs(connection, signers) == {"otp.example/audit"}

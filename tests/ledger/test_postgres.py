"""The ledger in PostgreSQL, on a real server: what is promised of SQLite holds there, too."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from otp_service.domain.audit import ZERO
from otp_service.ledger import erasing, reading, writing
from otp_service.ledger.database import find_database, open_database
from otp_service.ledger.migrations import migrate
from otp_service.ledger.pages import page_query

from ..storage.harness import CODE, SHARDS, StoreHarness, at_once, fresh_number
from .harness import LedgerHarness, read_all
from .postgres import postgres_server
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
        connection.execute(text("DROP DATABASE IF EXISTS ledger"))
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
    assert len(reading.leaf_hashes(ledger.database, 1, 15)) == reading.size(ledger.database) == 15
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


def test_every_filter_has_an_index_in_postgresql(ledger: LedgerHarness) -> None:
    """With walks through the whole table forbidden, none is left; the planner decides by the table's size."""
    for wanted in FILTERS:
        passing = {name: frozenset(value.split()) for name, value in wanted.items()}
        query = page_query([ZERO] * SHARDS, range(SHARDS), None, 10, passing)
        assert query is not None
        with ledger.database.reading() as connection:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            compiled = query.compile(connection, compile_kwargs={"literal_binds": True})
            plan = "\n".join(connection.execute(text(f"EXPLAIN {compiled}")).scalars())
        assert "Seq Scan on records" not in plan, (wanted, plan)

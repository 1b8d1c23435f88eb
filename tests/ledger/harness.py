"""A ledger over the streams of a harness, with short helpers for what the tests do with it."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from otp_service.domain.audit import ZERO, Event
from otp_service.ledger import reading
from otp_service.ledger.database import Database, open_database
from otp_service.ledger.exporter import Exporter
from otp_service.ledger.migrations import migrate
from otp_service.ledger.pages import LedgerPages
from otp_service.ledger.records import RecordEncoder
from otp_service.ledger.tables import RECORDS
from otp_service.signed_log.ledger_rows import leaves_in
from otp_service.storage.audit_source import AuditSource
from otp_service.usecases.whole_record import WholeRecord

from ..storage.harness import SHARDS, StoreHarness

DAY_MS = 86_400_000


class LedgerHarness:
    """An exporter of one store into one database, and what reads both."""

    def __init__(self, harness: StoreHarness, database: Database, kept_ms: int = DAY_MS) -> None:
        self.database = database
        self.store = harness
        self.source = AuditSource(harness.store, harness.scripts, harness.keys, harness.audit, kept_ms=kept_ms)
        self.pages = LedgerPages(database, harness.ring.open)
        self.record = WholeRecord(harness.audit, lambda: self.pages)
        self.exporter = self.another()

    def another(self, source: Any = None, now_ms: Callable[[], int] | None = None) -> Exporter:
        """One more exporter into the same database."""
        encoder = RecordEncoder(self.store.ring.seal, secrets.token_bytes)
        return Exporter(self.database, source or self.source, encoder, now_ms=now_ms or self.store.now)

    def export_all(self) -> int:
        """Export until nothing is left; how many events that were."""
        count = 0
        while taken := self.exporter.once():
            count += taken
        return count

    def size(self) -> int:
        """How many records there are."""
        return reading.size(self.database)

    def leaves(self) -> list[bytes]:
        """The bytes of all records."""
        with self.database.reading() as connection:
            return list(leaves_in(connection, 1, self.size()))

    def rows(self) -> list[Any]:
        """All rows of the table of records, in order."""
        with self.database.reading() as connection:
            return list(connection.execute(select(RECORDS).order_by(RECORDS.c.seq)).all())

    def events(self, **wanted: str) -> list[Event]:
        """All events of the whole record that pass."""
        return read_all(self.record, 7, **wanted)


def leaf_hashes(database: Database, first: int, last: int) -> list[bytes]:
    """The leaf hashes (32 bytes each) of the records `first` to `last`, both included."""
    wanted = select(RECORDS.c.leaf_hash).where(RECORDS.c.seq.between(first, last)).order_by(RECORDS.c.seq)
    with database.reading() as connection:
        return [bytes(value) for value in connection.execute(wanted).scalars()]


def read_all(record: Any, limit: int, **wanted: str) -> list[Event]:
    """All events of a record that pass, page by page."""
    positions, found = [ZERO] * SHARDS, []
    passing = {name: frozenset(value.split()) for name, value in wanted.items()}
    while True:
        page = record.read(positions, shards=range(SHARDS), until_ms=None, limit=limit, wanted=passing)
        found += page.events
        positions = list(page.positions)
        if page.at_end:
            return found


@contextmanager
def ledger_over(harness: StoreHarness, path: Path, kept_ms: int = DAY_MS) -> Iterator[LedgerHarness]:
    """A ledger in a file of SQLite."""
    database = open_database(f"sqlite:///{path}")
    migrate(database)
    try:
        yield LedgerHarness(harness, database, kept_ms)
    finally:
        database.close()

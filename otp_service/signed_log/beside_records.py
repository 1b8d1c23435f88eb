"""What stands beside the records in tables that nobody signs: each row belongs to a record that says the same."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from ..domain.audit import EventType
from ..ledger.digests import LATE_MS
from ..ledger.migrations import steps
from ..ledger.tables import CONFIGURATIONS, ERASURES, GAPS, LEDGER, LOG_ENDS, MIGRATION, PERSONS, RECORDS, WEBHOOKS
from ..ledger.writing import gap_id
from ..transparency.findings import Finding, Tampering
from .stream_order import KnownGap
from .told import details_of

WHOLE_HASH = len("sha256:") + 64
"""So long is the name of a configuration."""


def known_gaps(connection: Connection) -> list[KnownGap]:
    """Gaps that are on record, and those whose event is on its way."""
    on_record = list(details_of(connection, EventType.LEDGER_GAP))
    waiting = [detail for _, detail in _rows_of_gaps(connection) if detail not in on_record]
    return [gap for detail in (*on_record, *waiting) if (gap := KnownGap.read(detail)) is not None]


def size_fault(connection: Connection, last: int) -> Finding | None:
    """The size that the ledger keeps is that of its records. `last`: the number of the last of them."""
    before = connection.execute(select(RECORDS.c.seq).where(RECORDS.c.seq < 1).order_by(RECORDS.c.seq).limit(1))
    if (inserted := before.scalar()) is not None:
        return Finding(Tampering.INSERTED, inserted, f"record {inserted} was inserted before the first one")
    sizes = [tuple(row) for row in connection.execute(select(LEDGER.c.id, LEDGER.c.size))]
    if sizes == [(1, last)]:
        return None
    if len(sizes) == 1 and isinstance(sizes[0][1], int) and sizes[0][1] > last:
        return Finding(Tampering.CUT, last + 1, f"the records from {last + 1} on are missing: there were {sizes[0][1]}")
    kept = ", ".join(str(size) for _, size in sizes) or "no size"
    return Finding(Tampering.EDITED, None, f"the table ledger keeps {kept} in place of the size {last}")


def alone_fault(connection: Connection, persons: int, webhooks: int) -> Finding | None:
    """A personal part or a webhook that belongs to no record. The numbers are of those that belong to one."""
    of_persons = select(PERSONS.c.id).join_from(PERSONS, RECORDS, PERSONS.c.id == RECORDS.c.seq, isouter=True)
    of_webhooks = select(WEBHOOKS.c.seq).join_from(WEBHOOKS, RECORDS, WEBHOOKS.c.seq == RECORDS.c.seq, isouter=True)
    foreign = or_(RECORDS.c.person.is_(None), RECORDS.c.person != PERSONS.c.id)
    for table, count, query in (
        (PERSONS, persons, of_persons.where(foreign).order_by(PERSONS.c.id)),
        (WEBHOOKS, webhooks, of_webhooks.where(RECORDS.c.seq.is_(None)).order_by(WEBHOOKS.c.seq)),
    ):
        there = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if there != count:
            first = connection.execute(query.limit(1)).scalar()
            return Finding(Tampering.INSERTED, None, f"row {first} of the table {table.name} belongs to no record")
    return None


def configuration_fault(connection: Connection, named: Mapping[str, int]) -> Finding | None:
    """Each was loaded, which is on record, and none that was loaded or that decided may be missing.

    `named`: those that events name by their whole hash, each with the first record that does.
    """
    loaded = {str(detail.get("policy")) for detail in details_of(connection, EventType.CONFIGURATION_LOADED)}
    missing = {name: "it was loaded" for name in sorted(loaded) if len(name) == WHOLE_HASH}
    missing |= {name: f"record {seq} names it" for name, seq in named.items()}
    for name, content in connection.execute(select(CONFIGURATIONS.c.hash, CONFIGURATIONS.c.content)):
        if name != f"sha256:{sha256(_raw(content)).hexdigest()}":
            return Finding(Tampering.EDITED, None, f"the configuration {name} was edited")
        if missing.pop(name, None) is None:
            return Finding(Tampering.INSERTED, None, f"the configuration {name} was inserted: no record names it")
    gone = (f"the configuration {name} was removed: {why}" for name, why in missing.items())
    return next((Finding(Tampering.REMOVED, None, sentence) for sentence in gone), None)


def event_rows_fault(connection: Connection) -> Finding | None:
    """Gaps and ends of logs wait in tables of their own for the event that says the same."""
    newest = connection.execute(select(RECORDS.c.at_ms).order_by(RECORDS.c.seq.desc()).limit(1)).scalar() or 0
    gaps, ends = (list(details_of(connection, kind)) for kind in (EventType.LEDGER_GAP, EventType.LEDGER_ACCEPTED))
    rows = (
        *(("gaps", key, gap_id(detail), detail, gaps) for key, detail in _rows_of_gaps(connection)),
        *(("log_ends", key, detail.get("new_log"), detail, ends) for key, detail in _rows_of_ends(connection)),
    )
    for table, key, told, detail, events in rows:
        if key[0] != told:
            return Finding(Tampering.EDITED, None, f"row {key[0]} of the table {table} is not what its detail says")
        is_late = isinstance(key[1], int) and key[2] == 1 and newest - key[1] > LATE_MS
        if detail not in events and is_late:
            sentence = f"row {key[0]} of the table {table} was edited or inserted: no record says it"
            return Finding(Tampering.EDITED, None, sentence)
    return None


Keyed = tuple[tuple[str, Any, Any], Mapping[str, Any]]


def _rows_of_gaps(connection: Connection) -> Iterator[Keyed]:
    return _keyed(connection, select(GAPS.c.id, GAPS.c.at_ms, GAPS.c.recorded, GAPS.c.detail).order_by(GAPS.c.at_ms))


def _rows_of_ends(connection: Connection) -> Iterator[Keyed]:
    columns = (LOG_ENDS.c.following, LOG_ENDS.c.at_ms, LOG_ENDS.c.recorded, LOG_ENDS.c.detail)
    return _keyed(connection, select(*columns))


def _keyed(connection: Connection, query: Select[Any]) -> Iterator[Keyed]:
    """Name, time and mark of each row, with its detail: empty where that is none."""
    for *key, text in connection.execute(query):
        try:
            detail = json.loads(text)
        except (ValueError, TypeError):
            detail = {}
        yield (key[0], key[1], key[2]), detail if isinstance(detail, dict) else {}


def erasures_fault(connection: Connection) -> Finding | None:
    """Each erasure is on record before it is done, unless what was on record is lost, which is on record then."""
    there = connection.execute(select(func.count()).select_from(ERASURES)).scalar_one()
    told = sum(1 for _ in details_of(connection, EventType.PERSON_ERASED))
    if there <= told or known_gaps(connection):
        return None
    return Finding(Tampering.INSERTED, None, f"the table erasures has {there} rows, and {told} erasures are on record")


def migration_fault(connection: Connection) -> Finding | None:
    """The steps by which the tables were made are those of this version."""
    known = {number: name for number, name, _ in steps()}
    found = {row.step: row.name for row in connection.execute(select(MIGRATION.c.step, MIGRATION.c.name))}
    for kind, one, others in ((Tampering.INSERTED, found, known), (Tampering.REMOVED, known, found)):
        if (step := next((number for number in one if number not in others), None)) is not None:
            return Finding(kind, None, f"step {step} of the table migration was {kind}")
    edited = next((number for number, name in found.items() if known[number] != name), None)
    return (
        None if edited is None else Finding(Tampering.EDITED, None, f"step {edited} of the table migration was edited")
    )


def _raw(stored: Any) -> bytes:
    # A column of SQLite takes what it is given, whoever gives it.
    return stored if isinstance(stored, bytes) else str(stored).encode()

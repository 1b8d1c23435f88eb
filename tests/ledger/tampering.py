"""A ledger with rows in every table, and every change of one row that somebody with the database can make."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, Table, delete, insert, select, text

from otp_service.bootstrap.erasing import tombstone_of
from otp_service.bootstrap.signed_log import opening_of
from otp_service.clock import utc
from otp_service.domain.audit import EventType
from otp_service.domain.canonical_json import canonical
from otp_service.ledger import erasing, writing
from otp_service.ledger.database import Database
from otp_service.receivers.outgoing import Outgoing
from otp_service.signed_log.new_log import begin_new_log
from otp_service.signed_log.outlets import Outlets
from otp_service.signed_log.own_log import OwnLog
from otp_service.signed_log.reading import LogReader
from otp_service.signed_log.signers import signers_of
from otp_service.signed_log.signing import LogSigner
from otp_service.signed_log.timestamps import ToTimestamping
from otp_service.transparency.checkpoints import read_checkpoint
from otp_service.transparency.cosignatures import cosign
from otp_service.transparency.notes import NoteError

from ..signed_log.post_receiver import receiving
from ..signed_log.timestamping import TimestampingAuthority
from ..storage.harness import CODE, WRONG, StoreHarness, fresh_number
from ..transparency.signing import witness_signer
from .harness import LedgerHarness
from .test_erasing import report

HOUR_MS = 3_600_000
GAP_SHARD = 5
"""Of which events are lost. No other shard but the first has records, up to the seventh."""

ORIGIN = "otp.example/audit"
POLICY = {"apps": {"shop": {"max_checks": 5}}}


def fill(ledger: LedgerHarness, directory: Path) -> OwnLog:
    """Logins, a lost stream, an erasure, an ended log, a witness and a timestamp; the last records are not signed."""
    harness, ring, kept = ledger.store, ledger.store.ring, directory / "checkpoint"
    signers = signers_of(lambda: ring)
    signer = LogSigner(ledger.database, ORIGIN, signers, harness.now, kept)
    policy = f"sha256:{hashlib.sha256(canonical(POLICY)).hexdigest()}"
    harness.audit.record(EventType.CONFIGURATION_LOADED, {"policy": policy, "configuration": POLICY})
    numbers = [_number_on(harness, shard) for shard in range(1, 5)] + [_number_on(harness, GAP_SHARD)]
    refs = []
    for number in numbers:
        # One after the other: what waits on a shard is taken together.
        refs.append(ref := harness.start(number).reference)
        harness.send(ref)
        report(harness, ref, number)
        harness.check(ref, WRONG)
    ledger.export_all()
    signer.sign_if_due()
    # An hour ago, so that its event has to be here.
    exporter = ledger.another(now_ms=lambda: harness.now() - HOUR_MS)
    harness.raw.delete(harness.keys.audit(GAP_SHARD))
    while exporter.once():
        pass
    writing.accept_gaps(ledger.database, harness.now())
    with ledger.database.writing() as connection:
        connection.execute(text("DELETE FROM log_checkpoints"))
    begin_new_log(ledger.database, signers, kept, ORIGIN, harness.now() - HOUR_MS)
    _erase(ledger, refs[0].number_hash)
    while exporter.once():
        pass
    signer.sign()
    for ref in refs[1:4]:
        harness.check(ref, CODE)
    ledger.export_all()
    signer.sign()
    _cosign(ledger)
    _bring(ledger, directory)
    for shard in (6, GAP_SHARD):
        harness.check(harness.start(_number_on(harness, shard)).reference, CODE)
        ledger.export_all()
        signer.sign()
    harness.check(harness.start(_number_on(harness, 7)).reference, CODE)
    ledger.export_all()
    return OwnLog(ledger.database, signers, "", opening_of(ring))


def _number_on(harness: StoreHarness, shard: int) -> str:
    """A number that is kept there."""
    while harness.keys.shard(harness.hash_of(number := fresh_number())) != shard:
        pass
    return number


def _erase(ledger: LedgerHarness, number_hash: str) -> None:
    count, now_ms = erasing.count_of(ledger.database, number_hash), ledger.store.now()
    ledger.store.audit.record(EventType.PERSON_ERASED, {"records": count})
    tombstone = tombstone_of(ledger.store.ring.ids, utc(now_ms).year, number_hash)
    erasing.erase(ledger.database, number_hash, tombstone, now_ms)


def _cosign(ledger: LedgerHarness) -> None:
    log = LogReader(ledger.database)
    note, checkpoint = read_checkpoint(log.checkpoint() or "")
    cosigned = note.with_signature(cosign(checkpoint.text, witness_signer(1), 1))
    assert log.take_cosignature(str(witness_signer(1).key), str(cosigned), 1)


def _bring(ledger: LedgerHarness, directory: Path) -> None:
    authority, now = TimestampingAuthority(directory / "tsa"), ledger.store.now
    with receiving(authority.answer) as server:
        post = Outgoing(server.url, allow_private=True).post
        outlet = ToTimestamping(ledger.database, post, authority.authorities, now)
        assert list(Outlets(ledger.database, [outlet], now).bring_what_is_due()) == []


@dataclass(frozen=True, slots=True)
class Change:
    """`name` as `unproven` has it. `rows`: all rows of the table afterwards."""

    name: str
    table: Table
    rows: Sequence[dict[str, Any]]


def tables_of(database: Database) -> list[Table]:
    """Every table that there is."""
    found = MetaData()
    found.reflect(database.engine)
    return found.sorted_tables


def changes_of(connection: Connection, table: Table) -> Iterator[Change]:
    """Of its first and its last row, of each kind: each column changed, the row removed, and again with another key."""
    keys = list(table.primary_key.columns)
    rows = [row._asdict() for row in connection.execute(select(table).order_by(*keys))]
    assert rows, f"the table {table.name} is empty: nothing of it is tried"
    kinds = [_kind_of(table.name, row) for row in rows]
    ends = {at for kind in kinds for at in (kinds.index(kind), len(kinds) - 1 - kinds[::-1].index(kind))}
    for at in sorted(ends):
        name = kinds[at]
        for column in table.columns:
            others = [_other(rows, column.name, rows[at][column.name])]
            if column.nullable and not column.primary_key and rows[at][column.name] is not None:
                others.append(None)
            for other in others:
                changed = {**rows[at], column.name: other}
                yield Change(f"{name}.{column.name}", table, [*rows[:at], changed, *rows[at + 1 :]])
        yield Change(f"{name} removed", table, [*rows[:at], *rows[at + 1 :]])
        again = {**rows[at], keys[-1].name: _other(rows, keys[-1].name, rows[at][keys[-1].name])}
        yield Change(f"{name} inserted", table, [*rows, again])


def _kind_of(table: str, row: dict[str, Any]) -> str:
    """Its name in `unproven`."""
    if table != "positions":
        return table
    # A shard without records has a position before its first entry.
    mark = {"0-0": " (0-0)"}.get(row["entry"], " (gap)" if row["shard"] == GAP_SHARD else "")
    return f"{table}{mark}"


def _other(rows: Sequence[dict[str, Any]], name: str, value: Any) -> Any:
    """A value that no row has in this column."""
    if isinstance(value, int):
        taken = {row[name] for row in rows}
        return next(number for number in range(value + 1, value + 2 + len(rows)) if number not in taken)
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1])
    if value is None:
        return next((_other(rows, name, row[name]) for row in rows if row[name] is not None), 1)
    # The last letters of what is coded by 64 may hold bits that say nothing.
    ends = max(1, len(value) - 4)
    at = max(place for place, sign in enumerate(value[:ends]) if sign.isalnum())
    return f"{value[:at]}{'1' if value[at] != '1' else '2'}{value[at + 1 :]}"


@contextmanager
def changed(database: Database, change: Change) -> Iterator[None]:
    """The table with these rows, and then again as it was."""
    with database.writing() as connection:
        before = [row._asdict() for row in connection.execute(select(change.table))]
    _write(database, change.table, change.rows)
    try:
        yield
    finally:
        _write(database, change.table, before)


def _write(database: Database, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    with database.writing() as connection:
        connection.execute(delete(table))
        if rows:
            connection.execute(insert(table), list(rows))


def found_by(own: OwnLog) -> str | None:
    """What verify says, None if all is good. Where the keys cannot be followed the command refuses, and says so."""
    try:
        found = own.verify(None, [], lambda _done, _total: None).finding
    except NoteError as error:
        return str(error)
    return None if found is None else f"{found.kind}: {found.sentence}"


def tampered(own: OwnLog) -> Iterator[tuple[Change, str | None]]:
    """Every change, and what is found then."""
    for table in tables_of(own.database):
        with own.database.reading() as connection:
            changes = list(changes_of(connection, table))
        for change in changes:
            with changed(own.database, change):
                yield change, found_by(own)

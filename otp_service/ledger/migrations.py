"""The tables are made by numbered steps, each applied once, in order, forward only, one process at a time."""

import logging
import re
import time
from collections.abc import Iterator
from importlib.resources import files
from string import Template

from sqlalchemy import Connection, inspect, select, text

from ..clock import clock_ms
from .database import Database, LedgerUnavailable
from .tables import MIGRATION

LOCK = 0x6F7470
"""Names the lock in PostgreSQL under which steps are applied. Any number that nobody else uses."""

SLOW_S = 2.0
"""A step that takes longer tells how far it is."""

_log = logging.getLogger("otp.ledger")

_TYPES = {
    "sqlite": {"bytes": "BLOB", "whole": "INTEGER", "serial": "INTEGER"},
    "postgresql": {"bytes": "BYTEA", "whole": "BIGINT", "serial": "BIGINT"},
}
_NAME = re.compile(r"(\d{4})_([a-z_]+)\.sql")


def steps() -> list[tuple[int, str, str]]:
    """Number, name and SQL of each step of the package, in order."""
    found = [(file.name, file) for file in files("otp_service.ledger").joinpath("steps").iterdir()]
    named = [(match, file) for name, file in found if (match := _NAME.fullmatch(name))]
    return sorted((int(match[1]), match[2], file.read_text(encoding="utf-8")) for match, file in named)


def migrate(database: Database, last: int | None = None) -> None:
    """Apply the steps that are missing, up to the number `last`. Raises LedgerUnavailable.

    Also where a newer version has applied steps that this one does not know. Where none is missing it waits for nobody:
    a command that only reads goes on while the ledger's file is written anew.
    """
    known = steps()
    if _done(database) == {number for number, _, _ in known}:
        return
    with database.writing() as connection:
        done = _applied(connection, database)
        if done and max(done) > max(number for number, _, _ in known):
            raise LedgerUnavailable("A newer version of otp-service has changed the ledger's tables; run that version.")
        for number, name, sql in known:
            if number not in done and (last is None or number <= last):
                _apply(connection, database, number, name, sql)


def _done(database: Database) -> set[int]:
    with database.reading() as connection:
        if not inspect(connection).has_table(MIGRATION.name):
            return set()
        return set(connection.execute(select(MIGRATION.c.step)).scalars())


def _applied(connection: Connection, database: Database) -> set[int]:
    if not database.is_sqlite:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS migration (step INTEGER PRIMARY KEY, name TEXT NOT NULL, at_ms BIGINT NOT NULL)"
    )
    return set(connection.execute(select(MIGRATION.c.step)).scalars())


def _apply(connection: Connection, database: Database, number: int, name: str, sql: str) -> None:
    statements = list(_statements(Template(sql).substitute(_TYPES[database.engine.dialect.name])))
    began = time.monotonic()
    for done, statement in enumerate(statements):
        # An index over many records takes minutes: whoever waits is told how far it is.
        if done and time.monotonic() - began >= SLOW_S:
            told = f"{done} of {len(statements)} parts done in {time.monotonic() - began:.0f} s"
            reason = f"step {number} ({name}), {told}"
            _log.warning("the ledger's tables are being changed", extra={"reason": reason})
        connection.exec_driver_sql(statement)
    connection.execute(MIGRATION.insert().values(step=number, name=name, at_ms=clock_ms()))


def _statements(sql: str) -> Iterator[str]:
    """The statements without their comments. No step may have a semicolon within a text."""
    bare = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    yield from (one.strip() for one in bare.split(";") if one.strip())

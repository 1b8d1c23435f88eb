"""Ends of signed logs: each is written with what ends the log, and gets its event from the next exporter."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from .database import Database
from .tables import LOG_ENDS


@dataclass(frozen=True, slots=True)
class LogEnd:
    """`following`: the name of the log that begins. `detail`: what the record says of the end."""

    following: str
    at_ms: int
    detail: Mapping[str, int | str]


def add(connection: Connection, end: LogEnd) -> None:
    """Write it, within the transaction that ends the log."""
    values = {"following": end.following, "at_ms": end.at_ms, "detail": json.dumps(end.detail), "recorded": 0}
    connection.execute(insert(LOG_ENDS).values(values))


def unrecorded(database: Database) -> list[LogEnd]:
    """Ends that have no event yet. Raises LedgerUnavailable."""
    query = select(LOG_ENDS.c.following, LOG_ENDS.c.at_ms, LOG_ENDS.c.detail).where(LOG_ENDS.c.recorded == 0)
    with database.reading() as connection:
        return [LogEnd(name, at_ms, json.loads(detail)) for name, at_ms, detail in connection.execute(query)]


def mark_recorded(database: Database, following: str) -> None:
    """Its event is on its way. Raises LedgerUnavailable."""
    with database.writing() as connection:
        connection.execute(update(LOG_ENDS).where(LOG_ENDS.c.following == following).values(recorded=1))

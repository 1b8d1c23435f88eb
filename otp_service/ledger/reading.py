"""How many records there are, and since when."""

from sqlalchemy import Connection, select

from .database import Database
from .tables import LEDGER, RECORDS


def size(database: Database) -> int:
    """How many records there are: they have the numbers 1 to `size`. Raises LedgerUnavailable."""
    with database.reading() as connection:
        return size_in(connection)


def size_in(connection: Connection) -> int:
    """How many there are within a transaction."""
    return int(connection.execute(select(LEDGER.c.size)).scalar_one())


def begun_at_ms_in(connection: Connection) -> int | None:
    """When the first record's event happened, within a transaction; None if there is no record."""
    at_ms = connection.execute(select(RECORDS.c.at_ms).where(RECORDS.c.seq == 1)).scalar()
    return None if at_ms is None else int(at_ms)

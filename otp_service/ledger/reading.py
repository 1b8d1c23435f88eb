"""How many records there are."""

from sqlalchemy import Connection, select

from .database import Database
from .tables import LEDGER


def size(database: Database) -> int:
    """How many records there are: they have the numbers 1 to `size`. Raises LedgerUnavailable."""
    with database.reading() as connection:
        return size_in(connection)


def size_in(connection: Connection) -> int:
    """How many there are within a transaction."""
    return int(connection.execute(select(LEDGER.c.size)).scalar_one())

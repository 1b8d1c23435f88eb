"""How many records there are, their bytes, and the hashes of these.

The bytes are canonical JSON (RFC 8785). A hash is that of a leaf (RFC 9162): SHA-256 of a zero byte and the bytes.
"""

from sqlalchemy import select

from .database import Database
from .tables import LEDGER, RECORDS


def size(database: Database) -> int:
    """How many records there are: they have the numbers 1 to `size`. Raises LedgerUnavailable."""
    with database.reading() as connection:
        return int(connection.execute(select(LEDGER.c.size)).scalar_one())


def leaf_hashes(database: Database, first: int, last: int) -> list[bytes]:
    """The leaf hashes (32 bytes each) of the records `first` to `last`, both included. Raises LedgerUnavailable."""
    return _column(database, "leaf_hash", first, last)


def leaves(database: Database, first: int, last: int) -> list[bytes]:
    """The bytes of the records `first` to `last`, both included. Raises LedgerUnavailable."""
    return _column(database, "leaf", first, last)


def _column(database: Database, name: str, first: int, last: int) -> list[bytes]:
    wanted = select(RECORDS.c[name]).where(RECORDS.c.seq.between(first, last)).order_by(RECORDS.c.seq)
    with database.reading() as connection:
        return [bytes(value) for value in connection.execute(wanted).scalars()]

"""Rows of the ledger within a transaction: signing sees records and tiles of one moment."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from ..ledger.tables import RECORDS

PORTION = 4_096


def leaves_in(connection: Connection, first: int, last: int) -> Iterator[bytes]:
    """The bytes of the records from `first` to `last`, both included, a portion at a time."""
    for begin in range(first, last + 1, PORTION):
        end = min(last, begin + PORTION - 1)
        wanted = select(RECORDS.c.leaf).where(RECORDS.c.seq.between(begin, end)).order_by(RECORDS.c.seq)
        for leaf in connection.execute(wanted).scalars():
            yield bytes(leaf)

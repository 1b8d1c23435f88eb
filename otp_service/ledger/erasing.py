"""Erasing what identifies somebody. The records stay as they are, and so do their hashes and every proof.

A verification's id in a record still holds the number's keyed hash, blinded: the keyring can read it, nobody else.

Each erasure leaves a tombstone: a keyed hash of the number's keyed hash and the year. Without the keyring it names
nobody. By it the erasure is done again in a ledger that was restored from an older copy.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, delete, func, insert, select, update

from ..clock import utc
from .database import Database
from .tables import ERASURES, PERSONS, RECORDS, WEBHOOKS

TombstoneOf = Callable[[int, str], str]
"""Year of an erasure and keyed hash of a number to the tombstone."""


def tokens_of(database: Database, number_hash: str) -> set[str]:
    """The tokens of the number's verifications. Raises LedgerUnavailable."""
    wanted = select(RECORDS.c.verification).where(RECORDS.c.number_hash == number_hash).distinct()
    with database.reading() as connection:
        return {token for token in connection.execute(wanted).scalars() if token}


def count_of(database: Database, number_hash: str) -> int:
    """Of how many records the number's owner would be erased. Raises LedgerUnavailable."""
    with database.reading() as connection:
        return _count(connection, number_hash)


def _count(connection: Connection, number_hash: str) -> int:
    wanted = select(func.count()).select_from(RECORDS).where(RECORDS.c.number_hash == number_hash)
    return int(connection.execute(wanted).scalar_one())


class MoreToErase(Exception):
    """There are more records than may be erased: nothing was."""


def erase(database: Database, number_hash: str, tombstone: str, at_ms: int, at_most: int | None = None) -> int:
    """Delete what identifies the number's owner; of how many records. Raises LedgerUnavailable.

    Where that is raised, it may be that only the free space is left to write anew: erase again. Raises MoreToErase
    where it would be of more than `at_most` records.
    """
    with database.writing() as connection:
        count = _erase(connection, number_hash)
        if at_most is not None and count > at_most:
            raise MoreToErase
        _note(connection, tombstone, at_ms)
    database.forget_free_space()
    return count


def _erase(connection: Connection, number_hash: str) -> int:
    for table, key in ((PERSONS, PERSONS.c.id), (WEBHOOKS, WEBHOOKS.c.seq)):
        connection.execute(delete(table).where(table.c.number_hash == number_hash))
        # The column may have been changed: what stands beside the person's records goes as well.
        beside = RECORDS.c.person if table is PERSONS else RECORDS.c.seq
        theirs = select(beside).where(RECORDS.c.number_hash == number_hash, beside.is_not(None))
        connection.execute(delete(table).where(key.in_(theirs)))
    changed = connection.execute(update(RECORDS).where(RECORDS.c.number_hash == number_hash).values(number_hash=None))
    return changed.rowcount


def _note(connection: Connection, tombstone: str, at_ms: int) -> None:
    known = connection.execute(select(ERASURES.c.tombstone).where(ERASURES.c.tombstone == tombstone)).first()
    if known is None:
        connection.execute(insert(ERASURES).values(tombstone=tombstone, at_ms=at_ms))


def tombstones(database: Database) -> dict[str, int]:
    """Each erasure that was done here, and when (Unix milliseconds). Raises LedgerUnavailable."""
    with database.reading() as connection:
        return tombstones_in(connection)


def tombstones_in(connection: Connection) -> dict[str, int]:
    """The same within a transaction."""
    found = connection.execute(select(ERASURES.c.tombstone, ERASURES.c.at_ms))
    return {row.tombstone: row.at_ms for row in found}


def replay(
    database: Database,
    erased: Mapping[str, int],
    tombstone_of: TombstoneOf,
    announce: Callable[[int], object] = lambda _records: None,
) -> int:
    """Do erasures again that this ledger does not know: it was restored from a copy; how many people that were.

    `erased`: all tombstones that are known elsewhere, with their times. `announce` is told before, if there are any, of
    how many records people are erased. Raises LedgerUnavailable, and what `announce` raises: then nothing was done.
    """
    known = tombstones(database)
    missing = {name: at_ms for name, at_ms in erased.items() if name not in known}
    if not missing:
        return 0
    count = _erase_again(database, missing, tombstone_of, announce)
    if count:
        database.forget_free_space()
    # Last of all: what was cut off before is done again.
    with database.writing() as connection:
        for tombstone, at_ms in missing.items():
            _note(connection, tombstone, at_ms)
    return count


def _erase_again(
    database: Database, missing: Mapping[str, int], tombstone_of: TombstoneOf, announce: Callable[[int], object]
) -> int:
    years = {utc(at_ms).year for at_ms in missing.values()}
    with database.writing() as connection:
        numbers = connection.execute(select(RECORDS.c.number_hash).where(RECORDS.c.number_hash.is_not(None)).distinct())
        again = [number for number in numbers.scalars() if any(tombstone_of(year, number) in missing for year in years)]
        if again:
            announce(sum(_count(connection, number) for number in again))
        for number in again:
            _erase(connection, number)
    return len(again)

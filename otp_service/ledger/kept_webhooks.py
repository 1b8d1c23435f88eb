"""The carrier's webhooks need not be kept as long as the records: they go after a time of the operator's choice.

That they go is on record first. So whoever verifies the ledger knows which ones may be missing, and a ledger that was
restored from an older copy drops them again.
"""

from sqlalchemy import Connection, delete, func, select

from ..domain.audit import EventType
from .database import Database
from .records import detail_of
from .tables import RECORDS, WEBHOOKS

DAY_MS = 86_400_000
AT_ONCE = 5_000
"""Webhooks that are dropped in one transaction."""

TIMES = 200
"""Transactions at most of one call: events wait meanwhile."""


def dropped_before(connection: Connection) -> int:
    """Webhooks of records from before this moment (Unix milliseconds) may be gone, as the record says; 0: none."""
    leaves = connection.execute(select(RECORDS.c.leaf).where(RECORDS.c.type == EventType.WEBHOOKS_DROPPED)).scalars()
    return max((int(detail_of(bytes(leaf)).get("before_ms", 0)) for leaf in leaves), default=0)


def drop_webhooks(database: Database, kept_ms: int | None, now_ms: int) -> int | None:
    """Drop those that the record says are dropped; a moment that has to be on record before more can go, or None.

    `kept_ms`: how long they are kept; None for ever. Whole days (UTC) go. Raises LedgerUnavailable.
    """
    with database.reading() as connection:
        before = dropped_before(connection)
    for _ in range(TIMES):
        if _drop(database, before) < AT_ONCE:
            break
    if kept_ms is None:
        return None
    end = (now_ms - kept_ms) // DAY_MS * DAY_MS
    with database.reading() as connection:
        first = connection.execute(select(func.min(WEBHOOKS.c.at_ms))).scalar()
    return end if first is not None and first < end and end > before else None


def _drop(database: Database, before: int) -> int:
    """Some of those from before this moment; how many."""
    old = select(WEBHOOKS.c.seq).where(WEBHOOKS.c.at_ms < before).order_by(WEBHOOKS.c.at_ms).limit(AT_ONCE)
    with database.writing() as connection:
        seqs = connection.execute(old).scalars().all()
        connection.execute(delete(WEBHOOKS).where(WEBHOOKS.c.seq.in_(seqs)))
    return len(seqs)

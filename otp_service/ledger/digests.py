"""A digest of each day (UTC): how many records of each app and type, and the first and last of them by number.

Whoever leaves out records of a day has to leave out its digest, or to explain it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from ..clock import utc
from ..domain.audit import EventType
from ..domain.canonical_json import canonical
from .database import Database
from .records import detail_of
from .tables import RECORDS

LATE_MS = 600_000
"""So long after midnight a day's events have all been brought here, if none wait."""

COUNTS_MAX = 30_000
"""Bytes of the counts of single apps."""

MOST = 31
"""Days that are looked at in one go."""


def due(database: Database, now_ms: int) -> list[dict[str, Any]]:
    """The digests that are missing, of days that are over, oldest first. Raises LedgerUnavailable."""
    with database.reading() as connection:
        first, today = _next_day(connection), utc(now_ms - LATE_MS).date()
        days = [] if first is None else list(_days(first, today))[:MOST]
        return [_digest(connection, day) for day in days]


def _next_day(connection: Connection) -> date | None:
    """The day after that of the last digest, or that of the first record; None if there is none."""
    of_digests = select(RECORDS.c.leaf).where(RECORDS.c.type == EventType.LEDGER_DIGEST)
    last = connection.execute(
        of_digests.order_by(RECORDS.c.at_ms.desc(), RECORDS.c.counter.desc(), RECORDS.c.shard.desc()).limit(1)
    ).scalar()
    if last is not None:
        return date.fromisoformat(detail_of(bytes(last))["day"]) + timedelta(days=1)
    first = connection.execute(select(func.min(RECORDS.c.at_ms))).scalar()
    return None if first is None else utc(first).date()


def _days(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first += timedelta(days=1)


def _digest(connection: Connection, day: date) -> dict[str, Any]:
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    within = RECORDS.c.at_ms.between(begin, begin + 86_400_000 - 1)
    found = connection.execute(
        select(RECORDS.c.app, RECORDS.c.type, func.count(), func.min(RECORDS.c.seq), func.max(RECORDS.c.seq))
        .where(within)
        .group_by(RECORDS.c.app, RECORDS.c.type)
        .order_by(RECORDS.c.app, RECORDS.c.type)
    ).all()
    counts: dict[str, dict[str, int]] = {}
    for app, kind, count, _, _ in found:
        counts.setdefault(app or "", {})[kind] = count
    return {
        "day": day.isoformat(),
        "records": sum(row[2] for row in found),
        "first_seq": min((row[3] for row in found), default=None),
        "last_seq": max((row[4] for row in found), default=None),
        **_bounded(counts),
    }


def _bounded(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The counts of as many apps as have room, those of the others together: no record may be longer than a tile's."""
    told: dict[str, Mapping[str, int]] = {}
    room, more = COUNTS_MAX, Counter[str]()
    for app, by_type in counts.items():
        room -= len(canonical({app: by_type}))
        if room >= 0:
            told[app] = by_type
        else:
            more.update(by_type)
    apart = len(counts) - len(told)
    return {"counts": told, **({"more": {"apps": apart, "counts": dict(more)}} if apart else {})}
